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

/** Entries of a checkpoint, read from the device as they are written. */
export function stateEntries(gpu: Gpu, training: Training): CheckpointEntry[] {
  return stateTensors(training).map(({ name, tensor }) => ({ name, data: blocksOf(gpu, tensor) }));
}

function blocksOf(gpu: Gpu, tensor: Tensor): Block[] {
  return Array.from({ length: Math.ceil(tensor.byteLength / BLOCK_BYTES) }, (_, index) => {
    const start = index * BLOCK_BYTES, bytes = Math.min(BLOCK_BYTES, tensor.byteLength - start);
    return { bytes, fill: (into) => gpu.readInto(tensor, into, start) };
  });
}

/**
 * Loads a checkpoint's tensors onto the device. All entries are first compared with what the run
 * expects, so that a checkpoint of another model is refused before anything is loaded.
 */
export async function restoreTensors(
  gpu: Gpu,
  training: Training,
  checkpoint: Checkpoint,
  onProgress?: OnRead,
): Promise<void> {
  const tensors = stateTensors(training);
  const faults = tensors.flatMap(({ name, tensor }) => {
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
}

/**
 * Weights, rule states, projections and leading vectors, in the device's own layout; and what is kept
 * beside adapters that are merged into it.
 */
export function stateTensors({ model: { parameters }, optimizer }: Training): StateTensor[] {
  const found: StateTensor[] = [];
  const add = (name: string, tensor: Tensor | undefined) => {
    if (!tensor) return;
    found.push({ name, tensor });
    add(`${name}.constants`, tensor.constants);
  };
  for (const { parameter, rule, state, projector, fira, stableSpam } of optimizer.states) {
    const { name } = parameter;
    add(name, parameter.weight);
    for (const [key, tensor] of Object.entries(state)) add(`${name}.${rule.label}.${key}`, tensor);
    add(`${name}.projection`, projector?.basis);
    add(`${name}.leading`, projector?.leading);
    add(`${name}.fira.last`, fira?.last);
    add(`${name}.stable_spam`, stableSpam);
  }
  for (const { name, weight, kept, trainable } of parameters.all) {
    if (kept && !trainable) add(name, weight);
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
