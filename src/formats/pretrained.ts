/** Weights between a Hugging Face folder and the device, a block of rows at a time. */
import { join } from "@std/path";
import { UserError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { bytesOf, columnsOf, rowRange, rowsOf, type Tensor } from "../gpu/tensor.ts";
import { packTensor, toBfloat16, unpackTensor } from "../kernels/convert.ts";
import { groupQuantize } from "../kernels/group_quantize.ts";
import type { LlamaParameters, Parameter } from "../model/parameters.ts";
import { dequantize } from "../quant/group.ts";
import { Safetensors, type SafetensorsEntry, writeSafetensors } from "./safetensors.ts";

/** Host memory that a block of rows may take. */
const BLOCK_BYTES = 8 << 20;

/**
 * Reads every parameter from a folder's safetensors. Missing, unexpected and misshapen tensors are
 * all reported at once, before anything is uploaded.
 */
export async function loadWeights(
  gpu: Gpu,
  parameters: LlamaParameters,
  directory: string,
): Promise<void> {
  using file = await Safetensors.open(directory);
  assertSameTensors(file, parameters);
  for (const parameter of parameters.all) {
    await loadParameter(gpu, file, parameter);
    await gpu.check();
  }
}

/** The format on the device that holds a folder's weights exactly: half the size if bfloat16 does. */
export async function savedFormat(directory: string): Promise<"bfloat16" | "float32"> {
  using file = await Safetensors.open(directory);
  return [...file.tensors.values()].every(({ dtype }) => dtype === "BF16") ? "bfloat16" : "float32";
}

function assertSameTensors(file: Safetensors, parameters: LlamaParameters): void {
  const faults: string[] = [];
  const expected = new Set(parameters.all.map(({ name }) => name));
  // Tied checkpoints may carry the head all the same, and old ones RoPE's frequencies.
  const ignored = (name: string) =>
    name === "lm_head.weight" || name.endsWith("rotary_emb.inv_freq");
  for (const { name, shape } of parameters.all) {
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

async function loadParameter(gpu: Gpu, file: Safetensors, parameter: Parameter): Promise<void> {
  const { name, shape, weight } = parameter;
  if (weight.dtype !== "int8") return await uploadRows(gpu, file, name, weight);
  // Groups straddle rows, so a matrix is quantised whole.
  const scope = new Scope(gpu);
  const source = scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  await uploadRows(gpu, file, name, source);
  const pass = new KernelPass(gpu);
  groupQuantize(pass, { source, target: weight });
  pass.submit();
  scope.release();
}

async function uploadRows(
  gpu: Gpu,
  file: Safetensors,
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
