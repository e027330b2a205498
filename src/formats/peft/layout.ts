/** How peft's files are named, and lay out a factor. */
import type { Parameter } from "../../model/parameters.ts";

export const ADAPTER_WEIGHTS = "adapter_model.safetensors";

/** In the metadata of that file: what the base's weights were (weights_mark.ts). peft ignores it. */
export const BASE_MARK = "base_mark";

/** A of an embedding is (r, V) in files, and (V, r) on the device. */
export function isTransposed({ name }: Pick<Parameter, "name">): boolean {
  return name.endsWith(".lora_embedding_A");
}

/** Shape in files. */
export function fileShape(parameter: Pick<Parameter, "name" | "shape">): readonly number[] {
  return isTransposed(parameter) ? parameter.shape.toReversed() : parameter.shape;
}

/** (n, rows) from (rows, n). */
export function transposed(values: Float32Array, rows: number): Float32Array<ArrayBuffer> {
  const columns = values.length / rows, result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  }
  return result;
}
