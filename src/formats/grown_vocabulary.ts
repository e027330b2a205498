/**
 * A model's weights with rows for more tokens, as transformers' `resize_token_embeddings`. It draws
 * the new rows from a normal distribution around the mean of the old ones; here they are the mean
 * itself, so that the same command gives the same model.
 */
import type { WeightFile, WeightInfo } from "./weight_file.ts";

/** The matrices with a row for each token. */
const VOCABULARY = ["model.embed_tokens.weight", "lm_head.weight"];

/** Elements read at a time, at least a row. */
const BLOCK = 1 << 20;

/** The same file if it has that many rows. */
export function withRows(file: WeightFile, rows: number): WeightFile {
  const grown = new Map(VOCABULARY.flatMap((name): [string, WeightInfo][] => {
    const info = file.tensors.get(name);
    return info && info.shape[0] < rows ? [[name, { ...info, shape: [rows, info.shape[1]] }]] : [];
  }));
  if (!grown.size) return file;
  const means = new Map<string, Promise<Float32Array>>();
  return {
    path: file.path,
    tensors: new Map([...file.tensors, ...grown]),
    async readFloat32(name, start = 0, count) {
      const info = grown.get(name);
      if (!info) return await file.readFloat32(name, start, count);
      const held = file.tensors.get(name)!, [old, columns] = held.shape;
      const end = start + (count ?? rows * columns - start), from = old * columns;
      const values = new Float32Array(end - start);
      if (start < from) {
        values.set(await file.readFloat32(name, start, Math.min(end, from) - start));
      }
      if (end > from) {
        if (!means.has(name)) means.set(name, meanRow(file, held));
        const mean = await means.get(name)!;
        for (let i = Math.max(start, from); i < end; i++) values[i - start] = mean[i % columns];
      }
      return values;
    },
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

async function meanRow(
  file: WeightFile,
  { name, shape: [rows, columns] }: WeightInfo,
): Promise<Float32Array> {
  const sums = new Float64Array(columns), block = Math.max(1, Math.floor(BLOCK / columns));
  for (let row = 0; row < rows; row += block) {
    const count = Math.min(block, rows - row) * columns;
    const values = await file.readFloat32(name, row * columns, count);
    for (let i = 0; i < count; i++) sums[i % columns] += values[i];
  }
  return Float32Array.from(sums, (sum) => sum / rows);
}
