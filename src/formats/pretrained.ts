/** Weights between a Hugging Face folder and the device, a block of rows at a time. */
import { join } from "@std/path";
import { UserError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { bytesOf, columnsOf, rowRange, rowsOf, type Tensor, viewAs } from "../gpu/tensor.ts";
import { packTensor, toBfloat16, unpackTensor } from "../kernels/convert.ts";
import { groupQuantize } from "../kernels/group_quantize.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { dequantize } from "../quant/group.ts";
import { type SafetensorsEntry, writeSafetensors } from "./safetensors.ts";
import type { WeightFile } from "./weight_file.ts";

/** Host memory that a block of rows may take. */
const BLOCK_BYTES = 8 << 20;

export interface LoadOptions {
  /** float32: matrices that are quantised pass through it; one is allocated unless given. */
  readonly scratch?: Tensor;
  /** Told after each tensor: the share of the parameters that is loaded. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Reads every parameter but the adapters. Missing, unexpected and misshapen tensors are all
 * reported at once, before anything is uploaded. A block of rows at a time is in host memory, and
 * quantisation happens on the device.
 */
export async function loadWeights(
  gpu: Gpu,
  parameters: LlamaParameters,
  file: WeightFile,
  { scratch, onProgress }: LoadOptions = {},
): Promise<void> {
  const base = parameters.all.filter(({ kind }) => kind !== "adapter");
  assertSameTensors(file, base);
  const elements = ({ shape }: Parameter) => shape.reduce((product, size) => product * size, 1);
  const total = base.reduce((sum, parameter) => sum + elements(parameter), 0);
  let loaded = 0;
  for (const parameter of base) {
    await loadParameter(gpu, file, parameter, scratch);
    await gpu.check();
    onProgress?.((loaded += elements(parameter)) / total);
  }
}

/** The format on the device that holds the weights exactly: half the size if bfloat16 does. */
export function savedFormat({ tensors }: WeightFile): "bfloat16" | "float32" {
  return [...tensors.values()].every(({ dtype }) => dtype === "BF16") ? "bfloat16" : "float32";
}

function assertSameTensors(file: WeightFile, parameters: readonly Parameter[]): void {
  const faults: string[] = [];
  const expected = new Set(parameters.map(({ name }) => name));
  // Tied checkpoints may carry the head all the same, and old ones RoPE's frequencies.
  const ignored = (name: string) =>
    name === "lm_head.weight" || name.endsWith("rotary_emb.inv_freq");
  for (const { name, shape } of parameters) {
    const found = file.tensors.get(name);
    if (!found) faults.push(`${name} is missing`);
    else if (String(found.shape) !== String(shape)) {
      faults.push(`${name} must be [${shape.join(", ")}], is [${found.shape.join(", ")}]`);
    }
  }
  for (const name of file.tensors.keys()) {
    if (!expected.has(name) && !ignored(name)) faults.push(`${name} belongs to no parameter`);
  }
  if (faults.length) {
    const shown = faults.slice(0, 8).join("\n  ");
    throw new UserError(
      `${file.path}: does not match its config.json:\n  ${shown}` +
        (faults.length > 8 ? `\n  and ${faults.length - 8} more` : ""),
    );
  }
}

async function loadParameter(
  gpu: Gpu,
  file: WeightFile,
  { name, shape, weight }: Parameter,
  scratch: Tensor | undefined,
): Promise<void> {
  if (weight.dtype !== "int8") return await uploadRows(gpu, file, name, weight);
  // Groups straddle rows, so a matrix is quantised whole.
  const scope = new Scope(gpu);
  const source = scratch
    ? viewAs(scratch, name, shape)
    : scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  await uploadRows(gpu, file, name, source);
  const pass = new KernelPass(gpu);
  groupQuantize(pass, { source, target: weight });
  pass.submit();
  scope.release();
}

async function uploadRows(
  gpu: Gpu,
  file: WeightFile,
  name: string,
  target: Tensor,
): Promise<void> {
  const columns = columnsOf(target.shape);
  for (const [start, end] of rowBlocks(target)) {
    const values = await file.readFloat32(name, start * columns, (end - start) * columns);
    const block = { ...target, shape: [end - start, columns] };
    gpu.write(target, packTensor(block, values), bytesOf(target.dtype, start * target.stride));
  }
}

/** Writes the parameters as `model.safetensors`, dequantised, in the order the file needs them. */
export async function saveWeights(
  gpu: Gpu,
  parameters: LlamaParameters,
  directory: string,
  dtype: "bfloat16" | "float32",
): Promise<void> {
  const entries = parameters.all.map(({ name, shape, weight }): SafetensorsEntry => ({
    name,
    shape,
    dtype: dtype === "bfloat16" ? "BF16" : "F32",
    data: exported(gpu, weight, dtype),
  }));
  await writeSafetensors(join(directory, "model.safetensors"), entries, { format: "pt" });
}

async function* exported(
  gpu: Gpu,
  weight: Tensor,
  dtype: "bfloat16" | "float32",
): AsyncGenerator<Uint8Array> {
  const constants = weight.constants && new Float32Array(
    (await gpu.read(weight.constants)).buffer,
  );
  for (const [start, end] of rowBlocks(weight)) {
    const block = weight.shape.length === 1 ? weight : rowRange(weight, start, end);
    const bytes = await gpu.read(block);
    const values = constants ? dequantize(block, bytes, constants) : unpackTensor(block, bytes);
    yield new Uint8Array(
      dtype === "float32" ? values.buffer : Uint16Array.from(values, toBfloat16).buffer,
    );
  }
}

/** Ranges of rows of at most {@link BLOCK_BYTES} in float32. */
function* rowBlocks(tensor: Tensor): Generator<[number, number]> {
  const rows = tensor.shape.length === 1 ? 1 : rowsOf(tensor.shape);
  const block = Math.max(1, Math.floor(BLOCK_BYTES / (4 * tensor.stride)));
  for (let start = 0; start < rows; start += block) yield [start, Math.min(rows, start + block)];
}
