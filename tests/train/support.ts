/** A model and a text small enough to train in a test. */
import { fromFileUrl, join } from "@std/path";
import { writeHfConfig } from "../../src/formats/hf_config.ts";
import { saveWeights } from "../../src/formats/pretrained.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { LLAMA_TRAITS, type LlamaConfig } from "../../src/model/config.ts";
import { initialize } from "../../src/model/initialize.ts";
import { createParameters } from "../../src/model/parameters.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { hasInt8Weights, isLowRank } from "../../src/train/method_fields.ts";
import { DEFAULT_METHOD, methodNamed, methodOf } from "../../src/train/methods.ts";
import { type PretrainOptions, pretrainOptions } from "../../src/train/options.ts";
import type { FinetuneOptions } from "../../src/train/finetune_options.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";

/** Odd on purpose: grouped queries, a width of 5·8 and a feed-forward width that needs padding. */
export const TINY: LlamaConfig = {
  ...LLAMA_TRAITS,
  vocabSize: 257,
  hiddenSize: 40,
  intermediateSize: 109,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 12,
  maxPositions: 64,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  tieWordEmbeddings: false,
  initializerRange: 0.02,
};

const SHAKESPEARE = fromFileUrl(import.meta.resolve("../../examples/data/tinyshakespeare.txt"));

export interface Workshop {
  readonly folder: string;
  /** Options of a run of {@link TINY}, into `folder`/<name>. */
  options(name: string, change?: Record<string, unknown>): PretrainOptions;
}

const method = ({ optimizer }: Record<string, unknown>) =>
  methodOf(methodNamed(optimizer) ?? DEFAULT_METHOD);

/** Rank and groups for {@link TINY}, of the methods that have them. */
export const methodSizes = (change: Record<string, unknown>) => ({
  ...(isLowRank(method(change)) ? { rank: 16 } : undefined),
  ...(hasInt8Weights(method(change)) ? { weightGroupSize: 64 } : undefined),
});

/** A temporary folder with the model's config and a text of some 40 kB, removed at the end. */
export async function withWorkshop(
  run: (workshop: Workshop) => Promise<void>,
  config: LlamaConfig = TINY,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await writeHfConfig(folder, config, "float32");
    const text = (await Deno.readTextFile(SHAKESPEARE)).slice(0, 40_000);
    await Deno.writeTextFile(join(folder, "text.txt"), text);
    await run({
      folder,
      options: (name, change = {}) =>
        pretrainOptions.parse({
          model: join(folder, "config.json"),
          data: [join(folder, "text.txt")],
          output: join(folder, name),
          evalShare: 0.05,
          steps: 6,
          warmupSteps: 1,
          batchSize: 3,
          seqLen: 24,
          ...(isLowRank(method(change)) ? { updateProjGap: 2 } : undefined),
          ...methodSizes(change),
          saveEvery: 3,
          ...change,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The events of a run, and the device memory that it took. */
export interface Ran {
  readonly events: TrainingEvent[];
  readonly account: { live: number; peak: number };
}

/** Where a run is stopped: at a step, or at a sample by its number. */
interface Limit {
  readonly until?: number;
  readonly untilSample?: number;
}

/** Pre-trains to the end, or to the limit. */
export function runTraining(options: PretrainOptions, limit?: Limit): Promise<Ran> {
  return runTrainer((gpu) => Trainer.pretrain(gpu, options), limit);
}

/** The same for fine-tuning. */
export function runFinetuning(options: FinetuneOptions, limit?: Limit): Promise<Ran> {
  return runTrainer((gpu) => Trainer.finetune(gpu, options), limit);
}

async function runTrainer(
  create: (gpu: Gpu) => Promise<Trainer>,
  { until, untilSample }: Limit = {},
): Promise<Ran> {
  const gpu = await sharedGpu(), controller = new AbortController();
  using account = gpu.account.watch();
  const trainer = await create(gpu), events: TrainingEvent[] = [];
  if (until === 0) controller.abort();
  for await (const event of trainer.run({ signal: controller.signal })) {
    events.push(event);
    if (event.type === "step" && event.step === until) controller.abort();
    const samples = events.filter(({ type }) => type === "sample").length;
    if (samples === untilSample) controller.abort();
  }
  const { live, peak } = account;
  return { events, account: { live, peak } };
}

/** A test exempt from leak checks of its device and files. */
export function trainingTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** Saves a model of random weights. */
export async function saveBase(folder: string, config: typeof TINY, seed = 3): Promise<void> {
  const gpu = await sharedGpu();
  using scope = new Scope(gpu);
  const parameters = createParameters(scope, config, {
    weights: "float32",
    groupSize: 256,
    embeddings: "float32",
    trained: "all",
  });
  const scratch = scope.tensor({
    name: "scratch",
    shape: [config.vocabSize * 48],
    dtype: "float32",
    purpose: "workspace",
  });
  const pass = new KernelPass(gpu);
  initialize(gpu, pass, config, parameters, { seed, scratch });
  pass.submit();
  await saveWeights(gpu, parameters, folder, "float32");
  await writeHfConfig(folder, config, "float32");
}
