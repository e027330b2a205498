/** Rows for added tokens: the mean of the others, in whatever pieces they are read. */
import { assertEquals } from "@std/assert";
import { withRows } from "../../src/formats/grown_vocabulary.ts";
import type { WeightFile } from "../../src/formats/weight_file.ts";
import { assertClose, randomNormal } from "../support.ts";

const ROWS = 7, COLUMNS = 3;

function fileOf(tensors: Record<string, { shape: number[]; values: Float32Array<ArrayBuffer> }>) {
  const entries = Object.entries(tensors);
  const file: WeightFile = {
    path: "a file",
    tensors: new Map(entries.map(([name, { shape }]) => [name, { name, shape, dtype: "F32" }])),
    readFloat32: (name, start = 0, count = tensors[name].values.length - start) =>
      Promise.resolve(tensors[name].values.slice(start, start + count)),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
  return file;
}

const EMBEDDING = "model.embed_tokens.weight";
const matrix = { shape: [ROWS, COLUMNS], values: randomNormal(ROWS * COLUMNS, 1) };
const small = fileOf({
  [EMBEDDING]: matrix,
  "model.norm.weight": { shape: [COLUMNS], values: randomNormal(COLUMNS, 2) },
});

Deno.test("new rows are the mean of the old ones, which stay", async () => {
  const grown = withRows(small, ROWS + 2);
  assertEquals(grown.tensors.get(EMBEDDING)!.shape, [ROWS + 2, COLUMNS]);
  const mean = Array.from({ length: COLUMNS }, (_, column) => {
    let sum = 0;
    for (let row = 0; row < ROWS; row++) sum += matrix.values[row * COLUMNS + column];
    return sum / ROWS;
  });
  const all = await grown.readFloat32(EMBEDDING);
  assertEquals(all.subarray(0, ROWS * COLUMNS), matrix.values);
  assertClose("rows", all.subarray(ROWS * COLUMNS), [...mean, ...mean], { atol: 1e-7, rtol: 0 });
  // Any range is that of the whole.
  for (let start = 0; start < all.length; start++) {
    for (let count = 0; start + count <= all.length; count++) {
      const part = await grown.readFloat32(EMBEDDING, start, count);
      assertEquals(part, all.slice(start, start + count), `${start}, ${count}`);
    }
  }
  assertEquals(await grown.readFloat32("model.norm.weight"), randomNormal(COLUMNS, 2));
});

Deno.test("a vocabulary that has room stays as it is", () => {
  assertEquals(withRows(small, ROWS), small);
});
