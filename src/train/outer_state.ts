/**
 * What an outer step needs beside the weights in training: what they were when the ranks last met, in
 * their own format, and its momentum. Both lie in the host's memory: they are used once in many steps,
 * and what is exchanged passes through there anyway.
 */
import { Crc32 } from "../formats/checkpoint/checksum.ts";
import type { Checkpoint } from "../formats/checkpoint/reader.ts";
import type { Tensor, TensorReader } from "../gpu/tensor.ts";
import type { Parameter } from "../model/parameters.ts";
import { dequantize } from "../numbers/group.ts";
import { elementsOf } from "../numbers/layout.ts";
import { unpackTensor } from "../numbers/plain.ts";
import { UserError } from "../options/user_error.ts";
import type { Training } from "./build.ts";
import type { CheckpointEntry } from "./checkpoint.ts";

/** Of one parameter. */
export interface OuterState {
  readonly parameter: Parameter;
  /** The bytes of its weight when the ranks last met, and those of its groups' constants, if any. */
  readonly met: Uint8Array<ArrayBuffer>;
  readonly constants?: Uint8Array<ArrayBuffer>;
  /** Of its elements, without padding. */
  readonly momentum: Float32Array<ArrayBuffer>;
}

/** Zeros, for every trained parameter. */
export function createOuterStates(training: Training): OuterState[] {
  return trainedParameters(training).map((parameter) => ({
    parameter,
    met: new Uint8Array(parameter.weight.byteLength),
    constants: parameter.weight.constants && new Uint8Array(parameter.weight.constants.byteLength),
    momentum: new Float32Array(elementsOf(parameter)),
  }));
}

/** Bytes of host memory that they take. Also in a plan. */
export function outerBytes(training: Training): number {
  return trainedParameters(training).reduce((sum, { weight, ...parameter }) => {
    const { byteLength, constants } = weight;
    return sum + byteLength + (constants?.byteLength ?? 0) + 4 * elementsOf(parameter);
  }, 0);
}

/** What ranks meet in. */
export function trainedParameters({ optimizer }: Training): Parameter[] {
  return optimizer.states.map(({ parameter }) => parameter);
}

/** The numbers in these rows of a weight; `constants` are those of all of its groups. */
export function valuesIn(
  rows: Tensor,
  bytes: Uint8Array<ArrayBuffer>,
  constants: Uint8Array<ArrayBuffer> | undefined,
): Float32Array<ArrayBuffer> {
  return constants ? dequantize(rows, bytes, new Uint32Array(constants.buffer)) : unpackTensor(
    rows,
    bytes,
  );
}

/** Takes what the weights are now as what they were when the ranks met. */
export async function keepMet(reader: TensorReader, states: readonly OuterState[]): Promise<void> {
  for (const { parameter: { weight }, met, constants } of states) {
    await Promise.all([
      reader.readInto(weight, met),
      weight.constants && reader.readInto(weight.constants, constants!),
    ]);
  }
}

/** Of all of it, the same on ranks that have met. */
export function outerChecksum(states: readonly OuterState[]): string {
  const sum = new Crc32();
  for (const { bytes } of states.flatMap(entriesOf)) sum.update(bytes);
  return sum.digest();
}

/** Entries of a checkpoint. */
export function outerEntries(states: readonly OuterState[]): CheckpointEntry[] {
  return states.flatMap(entriesOf).map(({ name, bytes }) => ({ name, data: bytes }));
}

/** Fills them from a checkpoint of as many parameters. */
export async function restoreOuter(
  states: readonly OuterState[],
  checkpoint: Checkpoint,
): Promise<void> {
  for (const { name, bytes } of states.flatMap(entriesOf)) {
    const saved = await checkpoint.read(name);
    if (saved.length !== bytes.length) {
      throw new UserError(
        `checkpoint ${checkpoint.path} does not match this run: ${name} has ${saved.length} bytes, ` +
          `expected ${bytes.length}`,
      );
    }
    bytes.set(saved);
  }
}

function entriesOf({ parameter: { name }, met, constants, momentum }: OuterState) {
  const bytes = new Uint8Array(momentum.buffer);
  return [
    { name: `${name}.outer.met`, bytes: met },
    ...constants ? [{ name: `${name}.outer.met.constants`, bytes: constants }] : [],
    { name: `${name}.outer.momentum`, bytes },
  ];
}
