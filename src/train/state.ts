/** The state of a run: every tensor that a resume needs, by name, and a record of the rest. */
import { UserError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LazyRefresh } from "../optim/lazy_refresh.ts";
import type { Training, TrainingShape } from "./build.ts";
import type { Checkpoint, CheckpointEntry } from "./checkpoint.ts";

/** What a checkpoint holds beside tensors. */
export interface RunState {
  readonly step: number;
  /** Targets trained on so far. */
  readonly tokens: number;
  /** Of the last step. */
  readonly loss: number;
  /** On what is held out, before the first step, where it was evaluated. */
  readonly first_eval_loss?: number;
  /** What a stop cut short after this step: the evaluation and the samples, or these alone. */
  readonly due?: "evaluation" | "samples";
  /** The lazy rule's records, by parameter. */
  readonly lazy: Readonly<Record<string, LazyRefresh>>;
  /** Where the next batch begins. */
  readonly data: unknown;
  readonly config: LlamaConfig;
  readonly shape: TrainingShape;
}

/** Bytes read from the device at a time. */
const CHUNK_BYTES = 4 << 20;

/** Entries of a checkpoint, each read from the device as it is written. */
export function stateEntries(gpu: Gpu, training: Training): CheckpointEntry[] {
  return stateTensors(training).map(({ name, tensor }) => ({
    name,
    data: readTensor(gpu, tensor),
  }));
}

/**
 * Brings a checkpoint's tensors to the device. Every entry is compared with what the run expects
 * first, so that a checkpoint of another model is refused by name and nothing is half loaded.
 */
export async function restoreTensors(
  gpu: Gpu,
  training: Training,
  checkpoint: Checkpoint,
): Promise<void> {
  const tensors = stateTensors(training);
  const faults = tensors.flatMap(({ name, tensor }) => {
    if (!checkpoint.has(name)) return [`${name} is missing`];
    const bytes = checkpoint.bytes(name);
    return bytes === tensor.byteLength
      ? []
      : [`${name} has ${bytes} bytes, this run's has ${tensor.byteLength}`];
  });
  if (faults.length) {
    throw new UserError(
      `checkpoint ${checkpoint.path} is not of this run: ${faults.slice(0, 4).join("; ")}` +
        (faults.length > 4 ? `; and ${faults.length - 4} more` : ""),
      "resume with the model, optimizer and rank that it was written with",
    );
  }
  for (const { name, tensor } of tensors) {
    await writeTensor(gpu, tensor, checkpoint.stream(name));
  }
}

/** Refuses to go on with options that would make it another run; learning rates may change. */
export function assertSameRun(
  path: string,
  saved: Pick<RunState, "config" | "shape">,
  now: Pick<RunState, "config" | "shape">,
): void {
  // Advised ranks are compared one by one where both runs have them.
  const advised = saved.shape.optimizer.ranks && now.shape.optimizer.ranks;
  const flat = (
    { config, shape: { optimizer, ...shape } }: Pick<RunState, "config" | "shape">,
  ) => ({
    ...config,
    ...shape,
    optimizer: optimizer.galore ? "galore" : "full rank",
    rank: optimizer.ranks ? "auto" : optimizer.rank,
    ...Object.fromEntries(
      Object.entries(advised ? optimizer.ranks! : {}).map(([name, r]) => [`rank of ${name}`, r]),
    ),
    adamBits: optimizer.adamBits,
    embeddingAdamBits: optimizer.embeddingAdamBits,
    projQuant: optimizer.projQuant,
    projGroupSize: optimizer.projGroupSize,
    seed: optimizer.seed,
  });
  const before = flat(saved) as Record<string, unknown>, after = flat(now) as typeof before;
  const free = ["activationCheckpointing", "samplePositions"];
  const changed = Object.keys({ ...before, ...after }).filter((key) =>
    !free.includes(key) && JSON.stringify(before[key]) !== JSON.stringify(after[key])
  ).map((key) => `${key} was ${JSON.stringify(before[key])}, is ${JSON.stringify(after[key])}`);
  if (changed.length) {
    throw new UserError(
      `checkpoint ${path} is of another run: ${changed.join("; ")}`,
      "resume with the options it was written with, or start anew in another --output",
    );
  }
}

/** Weights, Adam states, projections and leading vectors: raw, as the device holds them. */
export function stateTensors({ optimizer }: Training): { name: string; tensor: Tensor }[] {
  const found: { name: string; tensor: Tensor }[] = [];
  const add = (name: string, tensor: Tensor | undefined) => {
    if (!tensor) return;
    found.push({ name, tensor });
    add(`${name}.constants`, tensor.constants);
  };
  for (const { parameter, adam, projector } of optimizer.states) {
    const { name } = parameter;
    add(name, parameter.weight);
    add(`${name}.adam.m`, adam.m);
    add(`${name}.adam.v`, adam.v);
    add(`${name}.adam.absmax_m`, adam.absmaxM);
    add(`${name}.adam.absmax_v`, adam.absmaxV);
    add(`${name}.projection`, projector?.basis);
    add(`${name}.leading`, projector?.leading);
  }
  return found;
}

async function* readTensor(gpu: Gpu, tensor: Tensor): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < tensor.byteLength; start += CHUNK_BYTES) {
    yield await gpu.read(tensor, start, Math.min(CHUNK_BYTES, tensor.byteLength - start));
  }
}

/** Writes pieces of any size one after the other into a tensor. */
async function writeTensor(
  gpu: Gpu,
  tensor: Tensor,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  // A queue writes whole words, and a piece may end inside one.
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0), offset = 0;
  for await (const piece of pieces) {
    const joined = new Uint8Array(rest.length + piece.length);
    joined.set(rest);
    joined.set(piece, rest.length);
    const whole = joined.length & ~3;
    if (whole) gpu.write(tensor, joined.subarray(0, whole), offset);
    offset += whole;
    rest = joined.slice(whole);
  }
}
