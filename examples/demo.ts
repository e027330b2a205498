/**
 * Trains a small LLaMA from scratch with Q-GaLore on tiny Shakespeare, byte by byte, and reports
 * the results: held-out perplexity, memory against full AdamW, refreshes saved, a sample.
 *
 * Run it with `deno task demo`; it writes to runs/demo.
 *
 * @module
 */
import { fromFileUrl, resolve } from "@std/path";
import {
  complete,
  explain,
  fullAdamWShape,
  Gpu,
  LlamaForCausalLM,
  loadTokenizer,
  planMemory,
  pretrainOptions,
  reportedRun,
  type Summary,
  Trainer,
  type TrainingEvent,
  UserError,
} from "../mod.ts";

const OUTPUT = "runs/demo";

const options = pretrainOptions.parse({
  model: "llama_nano",
  data: [fromFileUrl(import.meta.resolve("./data/tinyshakespeare.txt"))],
  evalShare: 0.05,
  shuffleBuffer: 10_000, // the whole text
  output: OUTPUT,
  // At this size many small steps teach more than half as many of twice the text.
  steps: 400,
  batchSize: 4,
  seqLen: 128,
  lr: 0.015,
  warmupSteps: 40,
  rank: 32,
  updateProjGap: 40,
  saveEvery: 200,
  evalEvery: 200,
  seed: 1,
});

/** What the demo is going to do. */
function announce({ model, steps }: Pick<typeof options, "model" | "steps">): void {
  console.error(
    `Trains ${model}, a LLaMA of 0.9 million parameters, on tiny Shakespeare with Q-GaLore, then lets\n` +
      `it write: ${steps} steps, seconds on a graphics card and some minutes on a processor. Writes\n` +
      `to ${resolve(OUTPUT)}, in place of an earlier demo's run.\n`,
  );
}

async function train(gpu: Gpu): Promise<Summary> {
  const trainer = await Trainer.pretrain(gpu, options);
  for await (const event of reportedRun(trainer)) {
    tell(event);
    if (event.type === "done") {
      report(gpu, trainer, event.summary);
      return event.summary;
    }
  }
  throw new Error("the run ended without a summary");
}

function tell(event: TrainingEvent): void {
  switch (event.type) {
    case "plan":
      return console.error(`${event.parameters} parameters, ${event.steps} steps`);
    case "step": {
      const { step, loss, tokens_per_second: speed } = event;
      if (step % 20 > 0) return;
      return console.error(`step ${step}: loss ${loss.toFixed(3)}, ${speed.toFixed(0)} tokens/s`);
    }
    case "eval":
      return console.error(`step ${event.step}: held-out loss ${event.eval_loss.toFixed(3)}`);
    case "checkpoint":
      return console.error(`step ${event.step}: saved ${event.path}`);
    case "warning":
      return console.error(`warning: ${event.message}`);
  }
}

function report(gpu: Gpu, { recipe: { config, shape } }: Trainer, summary: Summary): void {
  const full = planMemory(config, fullAdamWShape(shape), gpu.capabilities).plannedPeakBytes;
  const { subspace_refreshes: done, subspace_refreshes_fixed_interval: fixed } = summary;
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const rows = [
    ["", "Q-GaLore", "reference"],
    ["held-out loss, nats per byte", summary.eval_loss!.toFixed(3), "5.545 untrained"],
    ["held-out perplexity", summary.eval_perplexity!.toFixed(2), "256 untrained"],
    ["GPU memory", mebibytes(summary.gpu_peak_bytes), `${mebibytes(full)} full AdamW`],
    ["subspace refreshes", String(done), `${fixed} at fixed intervals`],
    ["tokens/s", summary.tokens_per_second.toFixed(0), `on ${summary.adapter}`],
  ];
  for (const [name, own, other] of rows) {
    console.log(`${name.padEnd(30)}${own.padEnd(12)}${other}`.trimEnd());
  }
  console.log(`\nreport: ${resolve(OUTPUT, "report.html")}`);
}

async function sample(gpu: Gpu): Promise<void> {
  const directory = `${OUTPUT}/model`;
  const tokenizer = await loadTokenizer(directory);
  const model = await LlamaForCausalLM.fromPretrained(directory, { gpu });
  const prompt = "ROMEO:";
  const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
  write(`\n${prompt}`);
  const options = { maxNewTokens: 240, seed: 1 }; // sampled as its generation_config.json says
  for await (const piece of complete(model, tokenizer, prompt, options)) write(piece);
  write("\n");
}

try {
  announce(options);
  // A demo starts afresh each time.
  await Deno.remove(OUTPUT, { recursive: true }).catch(() => {});
  using gpu = await Gpu.open();
  await train(gpu);
  await sample(gpu);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(explain(error));
  Deno.exit(1);
}
