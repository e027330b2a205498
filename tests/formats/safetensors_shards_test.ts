import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { Safetensors, type SafetensorsEntry } from "../../src/formats/safetensors.ts";
import { writeSafetensorsSharded } from "../../src/formats/safetensors_shards.ts";

/** Tensors of 40, 80, 8 and 20 bytes; `fill` is their content. */
function entries(fill: number): SafetensorsEntry[] {
  const shapes: [string, number[]][] = [["d", [10]], ["b", [4, 5]], ["c", [2]], ["a", [1, 5]]];
  return shapes.map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = new Uint8Array(new Float32Array(count).fill(fill).buffer);
    return { name, dtype: "F32", shape, data: pieces(bytes) };
  });
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 12) yield bytes.subarray(at, at + 12);
}

const SHARDS = ["00001", "00002", "00003"].map((at) => `model-${at}-of-00003.safetensors`);
const INDEX = "model.safetensors.index.json";

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

async function assertHolds(folder: string, fill: number): Promise<void> {
  using file = await Safetensors.open(folder);
  assertEquals([...file.tensors.keys()].sort(), ["a", "b", "c", "d"]);
  for (const name of file.tensors.keys()) {
    const values = await file.readFloat32(name);
    assertEquals(values.every((value) => value === fill), true, name);
  }
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("shards: one file if it fits, otherwise shards with an index", async () => {
  await inFolder(async (folder) => {
    await writeSafetensorsSharded(folder, entries(1), { maxShardBytes: 148 });
    assertEquals(namesIn(folder), ["model.safetensors"]);
    await assertHolds(folder, 1);
    await writeSafetensorsSharded(folder, entries(2), {
      maxShardBytes: 60, // "b" is larger than that
      metadata: { format: "pt" },
    });
    assertEquals(namesIn(folder), [...SHARDS, INDEX].sort());
    await assertHolds(folder, 2);
    assertEquals(JSON.parse(await Deno.readTextFile(join(folder, INDEX))), {
      metadata: { total_parameters: 37, total_size: 148 },
      weight_map: { a: SHARDS[2], b: SHARDS[1], c: SHARDS[2], d: SHARDS[0] },
    });
    for (const shard of SHARDS) {
      using file = await Safetensors.open(join(folder, shard));
      assertEquals(file.metadata, { format: "pt" });
    }
  });
});

Deno.test("shards: an earlier save is replaced, whatever its shards, and no other file", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "adapter_model.safetensors"), "kept");
    await Deno.writeTextFile(join(folder, "model.safetensors.unfinished"), "of a run that died");
    for (const [fill, maxShardBytes] of [60, 60, 100, 20, 148, 60, 1000].entries()) {
      await writeSafetensorsSharded(folder, entries(fill), { maxShardBytes });
      await assertHolds(folder, fill);
    }
    assertEquals(namesIn(folder), ["adapter_model.safetensors", "model.safetensors"]);
  });
});

Deno.test("shards: a save that fails leaves the one before as it was", async () => {
  await inFolder(async (folder) => {
    const options = { maxShardBytes: 60 };
    await writeSafetensorsSharded(folder, entries(1), options);
    const before = namesIn(folder);
    const failing = entries(2);
    failing[3] = { ...failing[3], data: new Uint8Array(3) };
    await assertRejects(
      () => writeSafetensorsSharded(folder, failing, options),
      UserError,
      "tensor a: F32 [1, 5] takes 20 bytes, the data has 3",
    );
    assertEquals(namesIn(folder), before);
    await assertHolds(folder, 1);
  });
});

Deno.test("shards: two tensors of one name are refused, wherever they would lie", async () => {
  await inFolder(async (folder) => {
    const twice = entries(1).map((entry) => entry.name === "a" ? { ...entry, name: "d" } : entry);
    await assertRejects(
      () => writeSafetensorsSharded(folder, twice, { maxShardBytes: 60 }),
      UserError,
      "two tensors are named d",
    );
    assertEquals(namesIn(folder), []);
  });
});
