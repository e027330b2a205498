import { assertEquals, assertThrows } from "@std/assert";
import { PlanAllocator } from "../../../src/gpu/allocator.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { KernelPass } from "../../../src/gpu/pass.ts";
import { groupWalks, sequencesPerRange } from "../../../src/kernels/attention/attention_heads.ts";
import { createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";

/** A pass over an adapter of which only its limit matters. */
function passWith(maxStorageBufferBindingSize: number): KernelPass {
  return { gpu: { limits: { maxStorageBufferBindingSize } } } as unknown as KernelPass;
}

function operand(columns: number, rows: number) {
  const allocator = new PlanAllocator();
  const shape = [rows, columns];
  const tensor = allocator.tensor({ name: "x", shape, dtype: "bfloat16", purpose: "workspace" });
  return { tensor, rows };
}

Deno.test("sequencesPerRange: all at once where they fit, else aligned ranges", () => {
  // 128 columns of bfloat16 are 256 bytes: any range is aligned.
  assertEquals(sequencesPerRange(passWith(1 << 20), 10, [operand(128, 33)]), 10);
  assertEquals(sequencesPerRange(passWith(100_000), 20, [operand(128, 33)]), 11);
  assertEquals(sequencesPerRange(passWith(100_000), 20, [operand(128, 33)], 3), 3);
  // 33 rows of 16 bytes are aligned every 16 sequences, the narrowest operand deciding.
  const both = [operand(128, 33), operand(8, 33)];
  assertEquals(sequencesPerRange(passWith(33 * 256 * 40), 100, both), 32);
  assertThrows(
    () => sequencesPerRange(passWith(33 * 256 * 15), 100, both),
    ShapeError,
    "attention: 16 sequences must fit one binding, 15 do",
  );
});

Deno.test("createAttentionWorkspace: nothing for cards, long sequences and huge heads", () => {
  const options = {
    batch: 2,
    length: 64,
    heads: 4,
    keyValueHeads: 2,
    headSize: 32,
    backward: true,
  };
  const make = (change: object) => {
    const allocator = new PlanAllocator();
    const workspace = createAttentionWorkspace(allocator, {
      variant: "texture",
      ...options,
      ...change,
    });
    return { workspace, bytes: allocator.account.live };
  };
  // (128, 32 + 4) texels of 16 bytes for q and dout, (128, 16 + 4) for k and v; for p and ds, of 8
  // heads with 64 queries, four of them in (1, 64 + 4). All fit: dk and dv are an octet that stands in.
  const scores = 2 * 16 * (8 * 64 / 4) * (64 + 4) + 2 * 4 * 8;
  assertEquals(make({}).bytes, 128 * 16 * (2 * 36 + 2 * 20) + scores);
  assertEquals(make({ backward: false }).bytes, 128 * 16 * (36 + 2 * 20));
  // In bfloat16 a row of keys has 128 bytes, of which a copy moves two at once.
  assertEquals(make({ dtype: "bfloat16" }).bytes, 16 * (128 * 2 * 20 + 64 * 2 * 20) + scores);
  for (const change of [{ variant: "tiled" }, { length: 8193 }, { headSize: 256 }]) {
    assertEquals(make(change), { workspace: undefined, bytes: 0 });
  }
});

Deno.test("groupWalks: whole heads where they fit, else ranges of the queries of one", () => {
  const walks = (group: number, length: number, rows: number) =>
    [...groupWalks(group, length, { step: 4 }, rows)].map((
      walk,
    ) => [walk.first_member, walk.end_member, walk.first_query, walk.end_query, walk.accumulate]);
  assertEquals(walks(3, 10, Infinity), [[0, 3, 0, 10, 0]]);
  // Ten queries are three steps, of four.
  assertEquals(walks(3, 10, 24), [[0, 2, 0, 10, 0], [2, 3, 0, 10, 1]]);
  assertEquals(walks(2, 10, 8), [
    [0, 1, 0, 8, 0],
    [0, 1, 8, 10, 1],
    [1, 2, 0, 8, 1],
    [1, 2, 8, 10, 1],
  ]);
});
