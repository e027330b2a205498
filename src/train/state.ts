/** Every tensor that a resume needs, by name, from device to checkpoint and back. */
import type { Block } from "../files/contents.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Training } from "./build.ts";
import { type Checkpoint, type OnRead, readProgress } from "../formats/checkpoint/reader.ts";
import type { CheckpointEntry } from "./checkpoint.ts";

/** Bytes of a block at most. */
const BLOCK_BYTES = 4 << 20;

/** Reads from another process what it keeps: of this one of {@link stateTensors}, from this byte on. */
export type Fetch = (
  from: { readonly index: number; readonly start: number },
  into: Uint8Array<ArrayBuffer>,
) => Promise<void>;

/** An entry of a checkpoint in blocks. */
export interface StateEntry extends CheckpointEntry {
  readonly data: readonly Block[];
}

/** Entries of a checkpoint, read from the device, or from other processes, as they are written. */
export function stateEntries(gpu: Gpu, training: Training, fetch?: Fetch): StateEntry[] {
  return stateTensors(training).map(({ name, tensor, elsewhere }, index) => {
    const fill = (into: Uint8Array<ArrayBuffer>, start: number) =>
      elsewhere ? fetch!({ index, start }, into) : gpu.readInto(tensor, into, start);
    return { name, data: inBlocks(tensor, fill) };
  });
}

/** The blocks of a tensor's entry, which `fill` fills with the bytes from `start` on. */
export function inBlocks(
  { byteLength }: Pick<Tensor, "byteLength">,
  fill: (into: Uint8Array<ArrayBuffer>, start: number) => Promise<void>,
): Block[] {
  return Array.from({ length: Math.ceil(byteLength / BLOCK_BYTES) }, (_, index) => {
    const start = index * BLOCK_BYTES, bytes = Math.min(BLOCK_BYTES, byteLength - start);
    return { bytes, fill: (into) => fill(into, start) };
  });
}

/**
 * Loads a checkpoint's tensors onto the device, those whose names begin with `prefix`. All entries are
 * first compared with what the run expects, so that a checkpoint of another model is refused before
 * anything is loaded.
 */
export async function restoreTensors(
  gpu: Gpu,
  training: Training,
  checkpoint: Checkpoint,
  onProgress?: OnRead,
  prefix = "",
): Promise<void> {
  const all = stateTensors(training).map((each) => ({ ...each, name: `${prefix}${each.name}` }));
  const tensors = all.filter(({ elsewhere }) => !elsewhere);
  const faults = all.flatMap(({ name, tensor }) => {
    if (!checkpoint.has(name)) return [`${name} is missing`];
    const bytes = checkpoint.bytes(name);
    return bytes === tensor.byteLength
      ? []
      : [`${name} has ${bytes} bytes, expected ${tensor.byteLength}`];
  });
  if (faults.length) {
    throw new UserError(
      `checkpoint ${checkpoint.path} does not match this run: ${faults.slice(0, 4).join("; ")}` +
        (faults.length > 4 ? `; and ${faults.length - 4} more` : ""),
      "resume with the model, optimizer and rank it was written with",
    );
  }
  const progress = readProgress(checkpoint, tensors.map(({ name }) => name), onProgress);
  for (const { name, tensor } of tensors) {
    await writeTensor(gpu, tensor, checkpoint.stream(name), progress);
  }
}

/** A tensor and its name in a checkpoint. */
export interface StateTensor {
  readonly name: string;
  readonly tensor: Tensor;
  /** The process that keeps it, where it is at one of them alone. */
  readonly keeper?: number;
  /** It is another one: here is only its shape. */
  readonly elsewhere?: boolean;
}

type Kept = Pick<StateTensor, "keeper" | "elsewhere">;

/**
 * Weights, rule states, projections and leading vectors, in the device's own layout; and what is kept
 * beside adapters that are merged into it.
 */
export function stateTensors({ model: { parameters }, optimizer }: Training): StateTensor[] {
  const found: StateTensor[] = [];
  const add = (name: string, tensor: Tensor | undefined, kept: Kept = {}) => {
    if (!tensor) return;
    const { keeper, elsewhere } = kept;
    found.push({ name, tensor, keeper, elsewhere });
    add(`${name}.constants`, tensor.constants, kept);
  };
  for (const of of optimizer.states) {
    const { parameter, rule, state, projector, fira, stableSpam, keeper, elsewhere } = of;
    const { name } = parameter, kept = { keeper, elsewhere };
    add(name, parameter.weight, parameter);
    for (const [key, tensor] of Object.entries(state)) {
      add(`${name}.${rule.label}.${key}`, tensor, kept);
    }
    // All processes project low-rank gradients, so each has these.
    add(`${name}.projection`, projector?.basis, fira && kept);
    add(`${name}.leading`, projector?.leading, fira && kept);
    add(`${name}.fira.last`, fira?.last, kept);
    add(`${name}.stable_spam`, stableSpam, kept);
  }
  for (const parameter of parameters.all) {
    const { name, weight, kept, trainable } = parameter;
    if (kept && !trainable) add(name, weight, parameter);
  }
  return found;
}

/** Writes consecutive pieces of any size into a tensor. */
async function writeTensor(
  gpu: Gpu,
  tensor: Tensor,
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
  written: (bytes: number) => void,
): Promise<void> {
  // A queue writes whole words, but a piece may end inside one.
  let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0), offset = 0;
  for await (const piece of pieces) {
    const joined = rest.length ? new Uint8Array(rest.length + piece.length) : piece;
    if (rest.length) {
      joined.set(rest);
      joined.set(piece, rest.length);
    }
    const whole = joined.length & ~3;
    if (whole) gpu.write(tensor, joined.subarray(0, whole), offset);
    offset += whole;
    rest = joined.slice(whole);
    written(piece.length);
  }
}
