/** `compare`: trains a model by several methods and shows what each came to. */
import { join } from "../packages/std_path.ts";
import { compare } from "../compare/compare.ts";
import type { CompareEvent } from "../compare/events.ts";
import { comparedMethods } from "../compare/methods.ts";
import {
  type ComparedKind,
  compareFinetuneOptions,
  type CompareOptions,
  comparePretrainOptions,
} from "../compare/options.ts";
import type { CompareRecord } from "../compare/record.ts";
import { resultTable, sweepText, trainedText } from "../compare/table.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { UserError } from "../options/user_error.ts";
import { launched } from "../parallel/launch.ts";
import { formatTable } from "../text.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { commandLine } from "./command_line.ts";
import { CompareProgress } from "./compare_progress.ts";
import { foundModel } from "./found_model.ts";
import { openGpu } from "./open_gpu.ts";

const DETAILS =
  "Trains with every method and seed, from the same weights and on the same batches, " +
  "after trying learning rates for each method. Writes compare.json, compare.md and plots to " +
  "--output, and each run into a folder below it. Ctrl-C saves the run in progress; the same command " +
  "continues, also with more methods or seeds. Options of a run that belong to some methods go to " +
  "those.";

export const comparePretrain: Command = {
  name: "compare",
  summary: "compare training methods: loss, memory and speed, side by side",
  details: `${DETAILS} \`compare finetune\` compares fine-tuning.`,
  examples: [
    "compare --methods q_galore_adamw8bit,galore_adamw,adamw --model llama_nano --data texts/ " +
    "--steps 300 --seeds 1,2,3 --output runs/compared",
    "compare --methods galore_adamw:rank=32,galore_adamw:rank=64,adamw:lr=0.002 --model llama_9m " +
    "--data c4.jsonl --tokenizer tokenizer.json --steps 1000 --output runs/ranks",
  ],
  opensGpu: true,
  options: comparePretrainOptions,
  run: (options, io) => run("pretrain", options, io),
};

export const compareFinetune: Command = {
  name: "compare finetune",
  summary: "compare methods of fine-tuning a model on examples",
  details: DETAILS,
  examples: [
    "compare finetune --methods adamw,q_galore_adamw8bit,lora,qlora " +
    "--model hf:HuggingFaceTB/SmolLM2-135M-Instruct --data alpaca.json --steps 200 " +
    "--output runs/compared",
  ],
  opensGpu: true,
  options: compareFinetuneOptions,
  run: (options, io) => run("finetune", options, io),
};

async function run(kind: ComparedKind, options: CompareOptions, io: Io): Promise<number> {
  const launch = launched();
  if (launch) {
    throw new UserError(
      `compare trains in one process, and a launcher has started ${launch.size}, or the shell in ` +
        `which it runs (${launch.variable})`,
      `start it without mpirun, or remove the variable: env -u ${launch.variable} …`,
    );
  }
  // Their faults need no GPU.
  comparedMethods(kind, options);
  const model = kind === "finetune" ? options.model : options.from;
  if (model !== undefined) await foundModel({ model: String(model) }, io);
  const gpu = await openGpu(io), progress = new CompareProgress(io).start();
  const withdraw = io.describeStop(() => ({ first: "saving the run in progress before exit" }));
  try {
    const { signal } = io;
    const events = compare(gpu, kind, options, {
      signal,
      onPreparation: (event) => progress.prepare(event),
      onProgress: (event) => progress.goOn(event),
    });
    for await (const event of events) {
      progress.handle(event);
      if (event.type === "run_event") {
        const { folder, event: inner } = event;
        const shown = inner.type === "warning"
          ? { type: inner.type, message: spell(inner.phrase ?? inner.message, FLAGS) }
          : inner;
        io.event({ ...shown, run: folder });
      } else if (event.type === "compared") {
        progress.stop();
        show(event, io);
      } else io.event(event);
    }
  } finally {
    withdraw();
    progress.stop();
    gpu.close();
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}

function show(
  { interrupted, output, missing, record }: Extract<CompareEvent, { type: "compared" }>,
  io: Io,
): void {
  io.event({ type: "compared", interrupted, output, missing, ...record });
  if (record.methods.some(({ runs, sweep }) => runs.length + sweep.length)) {
    for (const line of describe(record)) io.log(line);
  }
  if (interrupted) {
    io.log("stopped: what is done is kept. To go on:");
    io.log(`  ${commandLine(io.args)}`);
  } else {
    for (const what of missing) io.log(`note: ${what}`);
    io.log(`written: ${join(output, "compare.md")}, its plots and compare.json`);
  }
}

function describe(record: CompareRecord): string[] {
  const { head, rows } = resultTable(record);
  const tried = record.methods.filter(({ sweep }) => sweep.length).map((method) =>
    `rates tried with ${method.name}: ${sweepText(method).replaceAll("**", "*")}`
  );
  return ["", trainedText(record), "", formatTable(head, rows), "", ...tried, ""];
}
