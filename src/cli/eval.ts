/** `eval`: loss and perplexity of a trained model on a text, and its scores on tasks. */
import { z } from "../packages/zod.ts";
import { BatchStream } from "../data/batches.ts";
import { vocabularyWarnings } from "../tokenizers/check_tokenizer.ts";
import { loadModelTokenizer, loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { FoundModel } from "../formats/find_model.ts";
import { evaluateTask, type TaskResult } from "../eval/evaluate_task.ts";
import type { Evaluation } from "../inference/perplexity.ts";
import type { Task } from "../eval/task.ts";
import { loadTask, parseTaskSpecs, TASK_NAMES } from "../eval/tasks.ts";
import { inOneLine, UserError } from "../options/user_error.ts";
import { Gpu } from "../gpu/gpu.ts";
import { LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import { lengthNote } from "../model/length_note.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { textFields, trainedFields } from "../train/fields.ts";
import { defineOptions, type Rule, section } from "../options/schema.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel, loadModel } from "./found_model.ts";
import { openGpu } from "./open_gpu.ts";
import { whileDoing } from "./working.ts";
import { evalTable, type Measured } from "./eval_table.ts";

const given = z.array(z.string().min(1)).min(1).optional();
const defaultLength = textFields.seqLen.parse(undefined);

const rules: Rule[] = [
  ({ data, tasks }, given) =>
    data || tasks || given.data || given.tasks ? undefined : {
      option: "data",
      message: "is required, or --tasks (or both)",
    },
  ({ tasks }) => {
    try {
      if (tasks) parseTaskSpecs((tasks as string[]).join(","));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { option: "tasks", message: inOneLine(error.explanation) };
    }
  },
  ...["shots", "limit"].map((option): Rule => (options, given) =>
    options[option] !== undefined && !given.tasks
      ? { option, message: "applies only to --tasks, which is not given" }
      : undefined
  ),
];

const options = defineOptions({
  fields: {
    ...trainedFields,
    ...section("Data", {
      data: given.describe("evaluation text").meta({ value: "file|dir|hf:…" }),
      tokenizer: z.string().min(1).optional().describe("tokenizer to use instead of the model's")
        .meta({ value: "bytes|dir|tokenizer.json|hf:…" }),
      ...textFields,
      seqLen: textFields.seqLen.unwrap().optional().describe(textFields.seqLen.description!)
        .meta({
          value: "T",
          derived: `${defaultLength} for a text, the model's positions for tasks`,
        }),
    }),
    ...section("Tasks", {
      tasks: given.describe(
        `tasks, separated by commas or spaces: ${TASK_NAMES.join(", ")}; a path is MMLU's folder ` +
          "(dev, test), a folder of GLUE's TSV files, or a .jsonl file of question, choices and answer",
      ).meta({ value: "name:path" }),
      shots: z.number().int().min(0).optional().describe(
        "number of solved examples before each question",
      )
        .meta({ derived: "5 with mmlu, otherwise 0" }),
      limit: z.number().int().min(1).optional().describe(
        "number of questions per task, and per subject of mmlu",
      ),
      before: z.string().min(1).optional().describe(
        "folder of the model before training, for comparison",
      ).meta({ value: "dir" }),
    }),
  },
  rules,
  derive: ({ tasks }) => ({ tasks: tasks ? parseTaskSpecs(tasks.join(",")) : [] }),
});
export type EvalOptions = ReturnType<typeof options.parse>;

export const evaluate: Command = {
  name: "eval",
  summary: "measure a model's loss and perplexity on a text, or its score on tasks",
  details: "Tasks are scored by log-likelihood: the model's answer is the choice it finds most " +
    "likely. Prompts and metrics are those of EleutherAI's lm-evaluation-harness.",
  examples: [
    "eval --model runs/nano --data held-out.txt",
    "eval --model runs/tuned/model --before models/base --tasks mmlu:data/mmlu --batch-size 4",
    "eval --model runs/tuned/model --tasks cola:glue/CoLA,choices:questions.jsonl --limit 200",
  ],
  opensGpu: true,
  options,
  run,
};

async function run(options: EvalOptions, io: Io): Promise<number> {
  // Report faulty files before loading anything.
  const tasks: Task[] = [];
  for (const spec of options.tasks) tasks.push(await loadTask(spec, options.shots));
  const found = await foundModel(options, io);
  const before = options.before ? await foundModel({ model: options.before }, io) : undefined;
  const gpu = await openGpu(io);
  try {
    // One after the other, so that two models need not fit at once.
    const first = before && await measure(gpu, before, tasks, options, io);
    const after = await measure(gpu, found, tasks, options, io);
    io.result(first ? { ...after, before: first } : after, describe(after, first));
    return EXIT.done;
  } finally {
    gpu.close();
  }
}

async function measure(
  gpu: Gpu,
  { model: directory, adapter }: FoundModel,
  tasks: readonly Task[],
  options: EvalOptions,
  io: Io,
): Promise<Measured> {
  const tokenizer = options.tokenizer
    ? await loadTokenizer(options.tokenizer)
    : await loadModelTokenizer(directory, adapter);
  const model = await loadModel(directory, { gpu, ...options, adapter }, io);
  const names = { tokenizer: options.tokenizer ?? directory, model: directory };
  const unknown = vocabularyWarnings(tokenizer, model.config, names);
  for (const warning of [...model.warnings, ...tokenizer.warnings, ...unknown]) {
    io.log(`warning: ${warning}`);
  }
  const longest = longestSequence(model.config);
  if (options.seqLen !== undefined && options.seqLen > longest) {
    io.log(`warning: the model has only ${longest} positions: using --seq-len ${longest}`);
  }
  try {
    const length = (unless: number) => Math.min(options.seqLen ?? unless, longest);
    const note = options.data && lengthNote(model.config, length(defaultLength));
    if (note) io.log(`note: ${note}`);
    const text = options.data &&
      await measureText(model, tokenizer, options.data, length(defaultLength), options, io);
    if (!tasks.length) return { ...text };
    const results = [];
    for (const task of tasks) {
      results.push(await ask(model, tokenizer, task, length(longest), options, io));
    }
    return { ...text, tasks: results };
  } finally {
    model.release();
  }
}

async function measureText(
  model: LlamaForCausalLM,
  tokenizer: Tokenizer,
  data: readonly string[],
  length: number,
  { batchSize: batch, textField }: EvalOptions,
  io: Io,
): Promise<Evaluation> {
  const stream = await BatchStream.open({
    data,
    evalData: data,
    split: "eval",
    tokenizer,
    vocabSize: model.config.vocabSize,
    textField,
    batchSize: batch,
    seqLen: length,
  });
  const evaluation = await whileDoing(io, "evaluating", (report) =>
    model.evaluate(stream, {
      batch,
      length,
      signal: io.signal,
      onBatch: (done) => report({ detail: `${done} batches` }),
    }));
  for (const note of stream.takeNotes()) io.log(`warning: ${note}`);
  return evaluation;
}

async function ask(
  model: LlamaForCausalLM,
  tokenizer: Tokenizer,
  task: Task,
  length: number,
  { batchSize: batch, limit }: EvalOptions,
  io: Io,
): Promise<TaskResult> {
  const result = await whileDoing(
    io,
    task.name,
    (report) =>
      evaluateTask(task, {
        tokenizer,
        length,
        limit,
        score: (requests, onProgress) =>
          model.logLikelihoods(requests, { batch, length, onProgress, signal: io.signal }),
        onProgress: (done, total) =>
          report({ share: done / total, detail: `${done} of ${total} questions` }),
      }),
  );
  for (const note of result.notes) io.log(`note: ${task.name}: ${note}`);
  return result;
}

function describe(after: Measured, before?: Measured): string {
  const { loss, perplexity, tokens, tasks } = after;
  if (tasks || before) return evalTable(after, before);
  return `loss ${loss!.toFixed(4)} nats per token, perplexity ${perplexity!.toFixed(3)}, ` +
    `${tokens} tokens`;
}
