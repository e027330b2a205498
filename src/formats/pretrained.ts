/** Transfers weights between a Hugging Face folder and the device, one block of rows at a time. */
import { UserError } from "../options/user_error.ts";
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { bytesOf, columnsOf, elementsOf, rowsOf } from "../numbers/layout.ts";
import { rowRange, rowStep, type Tensor, type TensorReader, viewAs } from "../gpu/tensor.ts";
import { packTensor } from "../numbers/plain.ts";
import { groupQuantize } from "../kernels/quantise/group_quantize.ts";
import {
  createNf4Workspace,
  nf4QuantizeConstants,
  nf4QuantizeRows,
  type Nf4Workspace,
} from "../kernels/quantise/nf4_quantize.ts";
import { type LlamaParameters, type Parameter, wholeParameters } from "../model/parameters.ts";
import { TURNS } from "../model/turns.ts";
import { ELEMENT_BYTES, type FloatType, writeFloat32 } from "./element_types.ts";
import { ahead } from "../files/ahead.ts";
import type { Block } from "../files/contents.ts";
import { release } from "../files/release.ts";
import { createOffloadedRows, keepRows } from "./offloaded_rows.ts";
import type { SafetensorsEntry } from "./safetensors.ts";
import { type ShardOptions, writeSafetensorsSharded } from "./safetensors_shards.ts";
import { mergedValues, type ReadValues, unpacker } from "./tensor_values.ts";
import type { WeightFile } from "./weight_file.ts";
import { listFaults, parameterFaults, unexpectedTensors } from "./tensor_faults.ts";

const HEAD = "lm_head.weight";
/** Host memory of a block of rows, and of those that are read while others are uploaded. */
const BLOCK_BYTES = 8 << 20, AHEAD_BYTES = 2 * BLOCK_BYTES;

/** Buffers through which matrices pass, some rows at a time, to be quantised. */
export interface LoadWorkspace {
  /** float32. */
  readonly source: Tensor;
  /** Scratch memory of the quantisation, if anything is NF4. */
  readonly nf4?: Nf4Workspace;
  /** Some rows of a matrix in host memory, if that is int8. */
  readonly offloaded?: Tensor;
}

/** Undefined if nothing is quantised. `scratch` is used as the source if it is large enough. */
export function createLoadWorkspace(
  allocator: Allocator,
  { all }: LlamaParameters,
  scratch?: Tensor,
): LoadWorkspace | undefined {
  const quantised = all.map(({ weight }) => weight)
    .filter(({ dtype }) => dtype === "int8" || dtype === "nf4");
  if (!quantised.length) return undefined;
  const elements = Math.max(
    ...quantised.map((weight) =>
      weight.stride * Math.min(rowsOf(weight.shape), rowsOfBlock(weight))
    ),
  );
  const shapes = quantised.filter(({ dtype }) => dtype === "nf4").map(({ shape }) => shape);
  const nf4 = shapes.length ? createNf4Workspace(allocator, shapes, TURNS.absmaxes) : undefined;
  const hosted = all.find(({ host }) => host);
  const offloaded = hosted && createOffloadedRows(allocator, hosted, rowsOfBlock(hosted.weight));
  if (scratch && scratch.byteLength >= 4 * elements) return { source: scratch, nf4, offloaded };
  const source = allocator.tensor({
    name: "load.source",
    shape: [elements],
    dtype: "float32",
    purpose: "workspace",
  });
  return { source, nf4, offloaded };
}

export interface LoadOptions {
  /** From {@link createLoadWorkspace}; by default temporary. */
  readonly workspace?: LoadWorkspace;
  /** Called after each tensor with the share of the parameters loaded. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Reads every parameter except adapters. Missing, unexpected and misshapen tensors are all reported
 * at once, before anything is uploaded. Holds a few blocks of rows in host memory at a time; the
 * device quantises.
 */
export async function loadWeights(
  gpu: Gpu,
  parameters: LlamaParameters,
  file: WeightFile,
  { workspace, onProgress }: LoadOptions = {},
): Promise<void> {
  const base = parameters.all.filter(({ kind }) => kind !== "adapter");
  assertSameTensors(file, base);
  const own = base.filter(({ elsewhere }) => !elsewhere);
  const total = own.reduce((sum, parameter) => sum + elementsOf(parameter), 0);
  let loaded = 0;
  const scope = new Scope(gpu), pass = new KernelPass(gpu);
  try {
    const through = workspace ?? createLoadWorkspace(scope, parameters);
    const read = async (block: RowBlock) => {
      const { parameter: { name }, start, end, columns } = block;
      const values = await file.readFloat32(name, start * columns, (end - start) * columns);
      return { block, values };
    };
    const blocks = own.flatMap(rowBlocksOf);
    for await (
      const { block, values } of ahead(blocks, read, { bytes: sizeOf, most: AHEAD_BYTES })
    ) {
      const { parameter, start } = block;
      if (parameter.host) await keepRows(pass, parameter, { start, values }, through);
      else upload(pass, block, values, through);
      if (!block.isLast) continue;
      await gpu.check();
      onProgress?.((loaded += elementsOf(parameter)) / total);
    }
  } finally {
    scope.release();
  }
}

/** Rows [start, end) of a parameter. */
interface RowBlock {
  readonly parameter: Parameter;
  readonly start: number;
  readonly end: number;
  readonly columns: number;
  readonly isLast: boolean;
}

function rowBlocksOf(parameter: Parameter): RowBlock[] {
  const columns = columnsOf(parameter.shape), blocks = [...rowBlocks(parameter.weight)];
  return blocks.map(([start, end], index) => (
    { parameter, start, end, columns, isLast: index === blocks.length - 1 }
  ));
}

function sizeOf({ start, end, columns }: RowBlock): number {
  return 4 * (end - start) * columns;
}

/** The smallest device format that holds the weights exactly: bfloat16 if possible. */
export function savedFormat({ tensors }: WeightFile): "bfloat16" | "float32" {
  return [...tensors.values()].every(({ dtype }) => dtype === "BF16") ? "bfloat16" : "float32";
}

/** Throws a {@link UserError} with all missing, misshapen and unexpected tensors. */
export function assertSameTensors(file: WeightFile, parameters: readonly Parameter[]): void {
  // Tied checkpoints may still contain the head, and old ones RoPE's frequencies.
  const ignored = (name: string) => name === HEAD || name.endsWith("rotary_emb.inv_freq");
  const faults = [
    ...parameterFaults(file, parameters),
    ...unexpectedTensors(file, parameters).filter((name) => !ignored(name))
      .map((name) => `${name} belongs to no parameter`),
  ];
  if (!faults.length) return;
  throw new UserError(
    listFaults(`${file.path}: does not match its config.json:`, faults),
    file.tensors.has(HEAD) || !parameters.some(({ name }) => name === HEAD)
      ? undefined
      : "a head that was not saved is usually tied to the embedding: tie_word_embeddings: true",
  );
}

function upload(
  pass: KernelPass,
  { parameter: { name, weight }, start, end, columns, isLast }: RowBlock,
  values: Float32Array,
  workspace: LoadWorkspace | undefined,
): void {
  const { gpu } = pass, shape = [end - start, columns];
  if (weight.dtype !== "int8" && weight.dtype !== "nf4") {
    const bytes = packTensor({ ...weight, shape }, values);
    gpu.write(weight, bytes, bytesOf(weight.dtype, start * weight.stride));
    return;
  }
  const { source: scratch, nf4 } = workspace!, source = viewAs(scratch, name, shape);
  gpu.write(source, packTensor(source, values));
  if (weight.dtype === "int8") {
    groupQuantize(pass, { source, target: rowRange(weight, start, end) });
  } else {
    nf4QuantizeRows(pass, nf4!, { source, target: weight, row: start });
    if (isLast) nf4QuantizeConstants(pass, nf4!, { target: weight });
  }
  pass.submit();
}

/** How {@link saveWeights} saves. */
export interface SaveOptions extends Pick<ShardOptions, "onProgress"> {
  /** What parameters are copied from that are not kept, since it has no quantisation error. */
  readonly original?: WeightFile;
}

/** Writes the parameters as safetensors, dequantised, with adapters merged into them. */
export async function saveWeights(
  reader: TensorReader,
  parameters: LlamaParameters,
  directory: string,
  dtype: "bfloat16" | "float32",
  { original, onProgress }: SaveOptions = {},
): Promise<void> {
  const type = dtype === "bfloat16" ? "BF16" : "F32";
  const entries = wholeParameters(parameters).map(({ parameter, adapter }): SafetensorsEntry => {
    const { name, shape, weight, kept } = parameter;
    const data = adapter
      ? blocksOfValues(weight, type, mergedValues(reader, parameter, adapter))
      : kept || !original
      ? exported(reader, weight, type)
      : copied(original, name, weight, type);
    return { name, shape, dtype: type, data };
  });
  await writeSafetensorsSharded(directory, entries, { metadata: { format: "pt" }, onProgress });
}

/** The same for a parameter in its original file. */
function copied(file: WeightFile, name: string, weight: Tensor, type: FloatType): Block[] {
  return blocksOfValues(
    weight,
    type,
    (start, end) => file.readFloat32(name, start, end - start),
  );
}

/** One for each block of rows, of values that are read for it alone. */
function blocksOfValues(weight: Tensor, type: FloatType, read: ReadValues): Block[] {
  const columns = columnsOf(weight.shape);
  return blocksOf(weight, type, async (start, end, into) => {
    const values = await read(start * columns, end * columns);
    writeFloat32(type, values, into);
    release(values);
  });
}

/** The values of a parameter in file layout. */
export function exported(reader: TensorReader, weight: Tensor, type: FloatType): Block[] {
  if (isStoredAs(weight, type)) return asStored(reader, weight, type);
  let unpacking: ReturnType<typeof unpacker> | undefined, left = 0;
  const blocks = blocksOf(weight, type, async (start, end, into) => {
    const block = rowsOrAll(weight, start, end), bytes = packedMemory(block, into);
    const [unpack] = await Promise.all([
      unpacking ??= unpacker(reader, weight),
      reader.readInto(block, bytes),
    ]);
    const columns = columnsOf(block.shape), rows = elementsOf(block) / columns;
    // Any row may begin a part: kernels bind none of them.
    const step = Math.max(1, Math.floor(unpacked.length / columns));
    for (let first = 0; first < rows; first += step) {
      const part = rowsOrAll(block, first, Math.min(rows, first + step));
      const at = part.byteOffset - block.byteOffset, count = elementsOf(part);
      const memory = count <= unpacked.length ? unpacked.subarray(0, count) : undefined;
      const values = unpack.values(part, bytes.subarray(at, at + part.byteLength), memory);
      const start = first * columns * ELEMENT_BYTES[type];
      writeFloat32(type, values, into.subarray(start, start + count * ELEMENT_BYTES[type]));
    }
    if (bytes.buffer !== into.buffer) release(bytes);
    // The constants of all tensors together are a hundredth of a model.
    left--;
    if (left > 0) return;
    unpack.release();
    unpacking = undefined;
    left = blocks.length;
  });
  left = blocks.length;
  return blocks;
}

/**
 * Where to read codes that are unpacked into `into`, rows in order: its end, if they fit, because no
 * value is then written where a code is still to be read. Codes need no alignment.
 */
function packedMemory(
  { dtype, byteLength }: Tensor,
  into: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const isCodes = dtype === "int8" || dtype === "nf4";
  return isCodes && byteLength <= into.length
    ? into.subarray(into.length - byteLength)
    : new Uint8Array(byteLength);
}

/** What is unpacked at a time, between two waits, and the memory that all of it goes through. */
const unpacked = new Float32Array(1 << 18);

/** Whether a file has the very bytes of the device. */
function isStoredAs({ dtype, shape, stride }: Tensor, type: FloatType): boolean {
  const same = dtype === "float32" ? type === "F32" : dtype === "bfloat16" && type === "BF16";
  return same && stride === columnsOf(shape);
}

function asStored(reader: TensorReader, weight: Tensor, type: FloatType): Block[] {
  return blocksOf(
    weight,
    type,
    (start, end, into) => reader.readInto(rowsOrAll(weight, start, end), into),
  );
}

function rowsOrAll(weight: Tensor, start: number, end: number): Tensor {
  return weight.shape.length === 1 ? weight : rowRange(weight, start, end);
}

/** One for each block of rows [start, end). */
function blocksOf(
  weight: Tensor,
  type: FloatType,
  fill: (start: number, end: number, into: Uint8Array<ArrayBuffer>) => Promise<void>,
): Block[] {
  const rowBytes = ELEMENT_BYTES[type] * columnsOf(weight.shape);
  return [...rowBlocks(weight)].map(([start, end]) => ({
    bytes: (end - start) * rowBytes,
    fill: (into) => fill(start, end, into),
  }));
}

/** Ranges of rows of about {@link BLOCK_BYTES} in float32. */
function* rowBlocks(tensor: Tensor): Generator<[number, number]> {
  const rows = tensor.shape.length === 1 ? 1 : rowsOf(tensor.shape), block = rowsOfBlock(tensor);
  for (let start = 0; start < rows; start += block) yield [start, Math.min(rows, start + block)];
}

/** Rows per block, which must not end inside a group. */
function rowsOfBlock(tensor: Tensor): number {
  const step = rowStep(tensor), rows = Math.floor(BLOCK_BYTES / (4 * tensor.stride));
  return Math.max(step, rows - rows % step);
}
