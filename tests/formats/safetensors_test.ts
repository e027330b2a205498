import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { fromFloat32 } from "../../src/formats/element_types.ts";
import { UserError } from "../../src/options/user_error.ts";
import {
  Safetensors,
  type SafetensorsEntry,
  toFloat32,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { fromBfloat16, toBfloat16 } from "../oracles/bfloat16.ts";
import { assertRefuses, assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/formats/"));
const ALL_TYPES = FIXTURES + "all_types.safetensors";

Deno.test("safetensors: values of every type agree with the reference library", async () => {
  const expected: Record<string, string[]> = JSON.parse(
    await Deno.readTextFile(FIXTURES + "all_types.json"),
  );
  using file = await Safetensors.open(ALL_TYPES);
  assertEquals(file.metadata, { "made by": "safetensors, ünïcode" });
  assertEquals([...file.tensors.keys()].sort(), Object.keys(expected).sort());
  const special: Record<string, number> = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  for (const [name, values] of Object.entries(expected)) {
    const actual = await file.readFloat32(name);
    assertEquals(actual, Float32Array.from(values, (v) => special[v] ?? Number(v)), name);
  }
  assertEquals(file.info("int16").shape, [2, 3]);
  assertEquals(file.info("scalar").shape, []);
});

Deno.test("safetensors: a range of a tensor, and its pieces, are those of the whole", async () => {
  using file = await Safetensors.open(ALL_TYPES);
  const whole = await file.read("float64");
  assertEquals(await file.read("float64", 8, 16), whole.slice(8, 24));
  assertEquals(await file.readFloat32("float64", 2, 2), new Float32Array([1, -2.5]));
  const pieces: number[] = [];
  for await (const piece of file.chunks("float64", 7)) pieces.push(...piece);
  assertEquals(new Uint8Array(pieces), whole);
  const together = await Promise.all([0, 8, 16].map((at) => file.read("float64", at, 8)));
  together.forEach((bytes, i) => assertEquals(bytes, whole.slice(i * 8, i * 8 + 8)));
  await assertRefusesAsync(
    () => file.read("float64", 8, 80),
    UserError,
    "tensor float64: bytes [8, 88) of 80 asked for",
  );
  await assertRefusesAsync(
    () => file.read("lm_head.weight"),
    UserError,
    "has no tensor lm_head.weight",
  );
});

Deno.test("safetensors: a sharded folder reads as one", async () => {
  using file = await Safetensors.open(FIXTURES + "sharded");
  assertEquals([...file.tensors.keys()], ["a", "b", "c"]);
  assertEquals(await file.readFloat32("a"), new Float32Array([0, 1, 2, 3, 4, 5]));
  assertEquals(await file.readFloat32("b"), new Float32Array([7, 8]));
});

Deno.test("safetensors: what was read is written again byte for byte", async () => {
  await inFolder(async (folder) => {
    using file = await Safetensors.open(ALL_TYPES);
    const entries: SafetensorsEntry[] = [...file.tensors.values()].reverse().map((tensor) => ({
      ...tensor,
      data: file.chunks(tensor.name, 5),
    }));
    await writeSafetensors(join(folder, "copy.safetensors"), entries, file.metadata);
    assertEquals(
      await Deno.readFile(join(folder, "copy.safetensors")),
      await Deno.readFile(ALL_TYPES),
    );
  });
});

Deno.test("safetensors: a write that fails leaves the file that was there", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    const entry = (data: Uint8Array) => [{ name: "w", dtype: "F32", shape: [2], data } as const];
    await writeSafetensors(path, entry(new Uint8Array(8)));
    await assertRefusesAsync(
      () => writeSafetensors(path, entry(new Uint8Array(9))),
      UserError,
      "tensor w: F32 [2] takes 8 bytes, the data has 9",
    );
    await assertRefusesAsync(
      () => writeSafetensors(path, [...entry(new Uint8Array(8)), ...entry(new Uint8Array(8))]),
      UserError,
      "two tensors are named w",
    );
    assertEquals([...Deno.readDirSync(folder)].map((file) => file.name), ["model.safetensors"]);
    using file = await Safetensors.open(folder);
    assertEquals(file.info("w").byteLength, 8);
  });
});

const TENSOR = { dtype: "F32", shape: [2], data_offsets: [0, 8] };

/** Name of the fault, the file's bytes, the message. */
const BROKEN: [string, Uint8Array, string][] = [
  ["empty", new Uint8Array(0), "at least 8 bytes, this one has 0"],
  ["a header that is too long", bytesOf({ w: TENSOR }, 8, 1000), "header of 1000 bytes, but"],
  ["an absurd header", bytesOf({ w: TENSOR }, 8, 2 ** 52), "at most 100000000 are allowed"],
  ["no JSON", bytesOf('{"w": ', 8), "the header is not valid JSON"],
  ["a list", bytesOf([], 8), "the header is no JSON object"],
  ["metadata", bytesOf({ __metadata__: { a: 1 } }, 0), "must map strings to strings"],
  ["an unknown type", bytesOf({ w: { ...TENSOR, dtype: "F8_E8M0" } }, 8), '"F8_E8M0" is not supp'],
  ["a negative size", bytesOf({ w: { ...TENSOR, shape: [-2] } }, 8), "tensor w: shape must list"],
  ["half an offset", bytesOf({ w: { ...TENSOR, data_offsets: [0] } }, 8), "data_offsets must be"],
  [
    "another size",
    bytesOf({ w: { ...TENSOR, shape: [3] } }, 8),
    "tensor w: F32 [3] takes 12 bytes, data_offsets [0, 8] span 8",
  ],
  ["truncated data", bytesOf({ w: TENSOR }, 5), "tensor w ends at byte"],
  ["data left over", bytesOf({ w: TENSOR }, 9), "the data ends at byte"],
  ["an overlap", bytesOf({ v: TENSOR, w: TENSOR }, 8), "and overlaps tensor v"],
  [
    "a gap",
    bytesOf({ v: TENSOR, w: { ...TENSOR, data_offsets: [12, 20] } }, 20),
    "a gap after tensor v",
  ],
];

for (const [name, bytes, message] of BROKEN) {
  Deno.test(`safetensors: refuses ${name}`, async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "bad.safetensors");
      await Deno.writeFile(path, bytes);
      const error = await assertRefusesAsync(() => Safetensors.open(path), UserError, message);
      if (!error.message.startsWith(path)) throw new Error(`names no file: ${error.message}`);
    });
  });
}

Deno.test("safetensors: refuses what is not there, and an index that lies", async () => {
  await inFolder(async (folder) => {
    await assertRefusesAsync(
      () => Safetensors.open(join(folder, "no")),
      UserError,
      "cannot be opened",
    );
    await assertRefusesAsync(
      () => Safetensors.open(folder),
      UserError,
      "holds neither model.safete",
    );
    const index = join(folder, "model.safetensors.index.json");
    const withMap = (map: unknown) => Deno.writeTextFile(index, JSON.stringify(map));
    await withMap({});
    await assertRefusesAsync(
      () => Safetensors.open(folder),
      UserError,
      "weight_map must map names",
    );
    await withMap({ weight_map: { a: "../secret.safetensors" } });
    await assertRefusesAsync(() => Safetensors.open(folder), UserError, "must be a file beside it");
    await withMap({ weight_map: { a: "1.safetensors" } });
    await assertRefusesAsync(
      () => Safetensors.open(folder),
      UserError,
      "of 1 shards, 1 missing: 1.safetensors",
    );
    await Deno.copyFile(ALL_TYPES, join(folder, "1.safetensors"));
    await assertRefusesAsync(
      () => Safetensors.open(folder),
      UserError,
      "tensor a is not in 1.safe",
    );
    await withMap({
      weight_map: { a: "1.safetensors", bool: "1.safetensors", b: "1.safetensors" },
    });
    await assertRefusesAsync(
      () => Safetensors.open(folder),
      UserError,
      "tensors a, b are not in 1.s",
    );
  });
});

Deno.test("safetensors: every missing shard is named, and a shard that was cut off", async () => {
  await inFolder(async (folder) => {
    for (const { name } of Deno.readDirSync(FIXTURES + "sharded")) {
      await Deno.copyFile(join(FIXTURES, "sharded", name), join(folder, name));
    }
    const second = join(folder, "model-00002-of-00002.safetensors");
    const bytes = await Deno.readFile(second);
    await Deno.writeFile(second, bytes.subarray(0, bytes.length - 1));
    const refused = (message: string) =>
      assertRefusesAsync(() => Safetensors.open(folder), UserError, message);
    await refused(`${second}: tensor`);
    await refused(
      `the file has ${bytes.length - 1}\n  hint: was the download or copy truncated?`,
    );
    await Deno.remove(second);
    await refused("of 2 shards, 1 missing: model-00002-of-00002.safetensors");
    await Deno.remove(join(folder, "model-00001-of-00002.safetensors"));
    await refused("2 missing: model-00001-of-00002.safetensors, model-00002-of-00002.safetensors");
  });
});

Deno.test("safetensors: of a tensor that two shards hold, the index says which counts", async () => {
  await inFolder(async (folder) => {
    const entry = (value: number) =>
      [{ name: "w", dtype: "U8", shape: [1], data: Uint8Array.of(value) }] as const;
    await writeSafetensors(join(folder, "a.safetensors"), entry(1));
    await writeSafetensors(join(folder, "b.safetensors"), entry(2));
    await Deno.writeTextFile(
      join(folder, "model.safetensors.index.json"),
      JSON.stringify({ weight_map: { w: "b.safetensors" } }),
    );
    using file = await Safetensors.open(folder);
    assertEquals(await file.readFloat32("w"), Float32Array.of(2));
    assertEquals([...file.tensors.keys()], ["w"]);
  });
});

for (
  const [name, hint] of [
    ["model-00001-of-00002.safetensors", "is the index missing?"],
    ["consolidated.safetensors", "weights in Mistral's own layout: give a copy in transformers'"],
    [
      "weights.safetensors",
      "it has weights.safetensors: if these are all weights, rename the file",
    ],
    ["tiny.gguf", "it has tiny.gguf: give the path of that file"],
    ["pytorch_model.bin", "it has pytorch_model.bin: transformers' save_pretrained"],
  ]
) {
  Deno.test(`safetensors: a folder with ${name} alone`, async () => {
    await inFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, name), "");
      const error = await assertRefusesAsync(
        () => Safetensors.open(folder),
        UserError,
        "holds neither model.safetensors nor model.safetensors.index.json",
      );
      assertStringIncludes(error.hint!, hint);
    });
  });
}

Deno.test("safetensors: offsets beyond 4 GB are exact", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "model.safetensors"), large = 2 ** 32 + 2 ** 31 + 5;
    const header = new TextEncoder().encode(JSON.stringify({
      a: { dtype: "U8", shape: [large], data_offsets: [0, large] },
      b: { dtype: "U8", shape: [3], data_offsets: [large, large + 3] },
    }));
    using file = await Deno.open(path, { write: true, create: true });
    await file.write(new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer));
    await file.write(header);
    const start = 8 + header.length;
    await file.truncate(start + large + 3); // a hole: it takes no space
    const put = async (at: number, bytes: number[]) => {
      await file.seek(start + at, Deno.SeekMode.Start);
      await file.write(Uint8Array.from(bytes));
    };
    await put(2 ** 32 - 1, [7, 8, 9]); // either side of 4 GB
    await put(large - 1, [1, 2, 3, 4]);
    using opened = await Safetensors.open(path);
    assertEquals([...await opened.read("a", 2 ** 32 - 2, 5)], [0, 7, 8, 9, 0]);
    assertEquals([...await opened.read("a", large - 2)], [0, 1]);
    assertEquals(await opened.readFloat32("b"), Float32Array.of(2, 3, 4));
  });
});

Deno.test("toFloat32: every F16 and every BF16 has its exact value", () => {
  const halves = Uint16Array.from({ length: 1 << 16 }, (_, index) => index);
  const view = new DataView(halves.buffer);
  const float16 = toFloat32("F16", new Uint8Array(halves.buffer));
  const bfloat16 = toFloat32("BF16", new Uint8Array(halves.buffer));
  for (let half = 0; half < 1 << 16; half++) {
    const sign = half & 0x8000 ? -1 : 1;
    // By their definitions: 5 and 8 bits of exponent, 10 and 7 of fraction.
    const value = (bits: number) => {
      const bias = 2 ** (14 - bits) - 1, top = 2 ** (15 - bits) - 1;
      const exponent = (half & 0x7fff) >> bits, fraction = half & (2 ** bits - 1);
      if (exponent === top) return fraction ? NaN : sign * Infinity;
      if (exponent === 0) return sign * fraction * 2 ** (1 - bias - bits);
      return sign * (1 + fraction / 2 ** bits) * 2 ** (exponent - bias);
    };
    if (!Object.is(float16[half], value(10))) throw new Error(`F16 ${half}: ${float16[half]}`);
    if (!Object.is(bfloat16[half], value(7))) throw new Error(`BF16 ${half}: ${bfloat16[half]}`);
    if (!Object.is(view.getFloat16(2 * half, true), value(10))) throw new Error(`oracle ${half}`);
  }
});

Deno.test("toFloat32: refuses half an element", () => {
  assertRefuses(() => toFloat32("F32", new Uint8Array(6)), UserError, "no whole number of F32");
});

Deno.test("fromFloat32: the nearest number of each format, of two the even one", () => {
  const values = Float32Array.of(0, -0, 1, -2.5, 1 / 3, 65504, 3e38, Infinity, -Infinity, NaN);
  const middles = Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11);
  const all = Float32Array.of(...values, ...middles);
  const after = (type: "F32" | "F16" | "BF16", given: Float32Array<ArrayBuffer>) =>
    toFloat32(type, fromFloat32(type, given));
  assertEquals(after("F32", all.subarray(1, 9)), all.slice(1, 9));
  assertEquals(after("BF16", all), all.map((value) => fromBfloat16(toBfloat16(value))));
  assertEquals([...after("BF16", middles)], [1, 1 + 2 ** -6, 1, 1]);
  assertEquals([...after("F16", middles)].slice(2), [1, 1 + 2 ** -9]);
  assertEquals([...after("F16", values)].slice(5), [65504, Infinity, Infinity, -Infinity, NaN]);
});

/** The bytes of a safetensors file: header, `dataBytes` of zeros, optionally another length. */
function bytesOf(header: unknown, dataBytes: number, length?: number): Uint8Array {
  const json = typeof header === "string" ? header : JSON.stringify(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  bytes.set(new TextEncoder().encode(json), 8);
  return bytes;
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
