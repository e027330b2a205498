/** Headers of GGUF files: versions, alignment, strings, and what is refused. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { readGgufConfig } from "../../src/formats/gguf/config.ts";
import { GgufFile } from "../../src/formats/gguf/gguf_file.ts";
import { readGgufHeader } from "../../src/formats/gguf/header.ts";
import { Metadata } from "../../src/formats/gguf/metadata.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertRefuses, assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/gguf/"));

/** The parts of a header, laid out as the specification says; sizes are 32 bits in version 1. */
class Bytes {
  readonly parts: Uint8Array[] = [];

  constructor(private readonly version = 3) {}

  raw(text: string): this {
    this.parts.push(new TextEncoder().encode(text));
    return this;
  }

  uint32(value: number, littleEndian = true): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, littleEndian);
    this.parts.push(bytes);
    return this;
  }

  uint64(value: number | bigint): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    this.parts.push(bytes);
    return this;
  }

  size(value: number | bigint): this {
    return this.version === 1 ? this.uint32(Number(value)) : this.uint64(value);
  }

  string(text: string): this {
    return this.size(new TextEncoder().encode(text).length).raw(text);
  }

  start(tensors: number | bigint, values: number | bigint): this {
    return this.raw("GGUF").uint32(this.version).size(tensors).size(values);
  }

  tensor(name: string, sides: readonly number[], offset: number): this {
    this.string(name).uint32(sides.length);
    for (const side of sides) this.size(side);
    return this.uint32(0).uint64(offset);
  }

  text(key: string, value: string): this {
    return this.string(key).uint32(8).string(value);
  }
}

async function withFile(bytes: Bytes, run: (path: string) => Promise<unknown>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    await Deno.writeFile(
      path,
      new Uint8Array(await new Blob(bytes.parts as never[]).arrayBuffer()),
    );
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("gguf: alignment, a byte order mark and lists of lists, as gguf's writer writes them", async () => {
  using file = await GgufFile.open(FIXTURES + "odd.gguf");
  const embedding = await file.readFloat32("model.embed_tokens.weight");
  assertEquals(embedding, Float32Array.from({ length: 48 }, (_, i) => i));
  const norm = await file.readFloat32("model.norm.weight");
  assertEquals(norm, Float32Array.from({ length: 8 }, (_, i) => i));
  const { metadata, tensors } = await readGgufHeader(FIXTURES + "odd.gguf");
  assertEquals(tensors.map(({ start }) => start % 64), [0, 0]);
  assertEquals(
    metadata.strings("tokenizer.ggml.tokens"),
    ["<unk>", "<s>", "</s>", "\ufeff", "a\0b", "naïve🙂"],
  );
  assertEquals(metadata.values["llama.test.nested"], [[1, 2], [3]]);
});

Deno.test("gguf: versions 1 and 2, and a header of megabytes", async () => {
  for (const version of [1, 2]) {
    // More than a piece that is read at a time, in values of which each is cut by its end.
    const long = "ä".repeat(1 << 20);
    const bytes = new Bytes(version).start(2, 3).text("a", "1").text("long", long).text("b", "2")
      .tensor("x", [4, 2], 64).tensor("y", [4, 2, 1, 1], 96);
    await withFile(bytes, async (path) => {
      const { metadata, tensors } = await readGgufHeader(path);
      assertEquals([metadata.string("a"), metadata.string("b")], ["1", "2"]);
      assertEquals(metadata.string("long") === long, true);
      assertEquals(tensors.map(({ name, shape }) => [name, shape]), [
        ["x", [2, 4]],
        ["y", [2, 4]],
      ]);
    });
  }
});

Deno.test("gguf: headers that cannot be right are refused", async () => {
  const refused = (bytes: Bytes, message: string) =>
    withFile(bytes, (path) => assertRefusesAsync(() => readGgufHeader(path), UserError, message));
  const valid = () => new Bytes().start(0, 1);
  await refused(new Bytes().raw("GGUF").uint32(4), "GGUF version 4 is not supported");
  await refused(new Bytes().raw("GGUF").uint32(3, false), "is big-endian, only little-endian");
  await refused(new Bytes().raw("tjgg").uint32(3), "a format of llama.cpp from before GGUF");
  await refused(new Bytes().raw("GGMX\0\0"), "does not start with the GGUF magic number");
  await refused(new Bytes().start(2n ** 60n, 0), "1152921504606846976 at byte");
  await refused(new Bytes().start(0, 1e9), "1000000000 at byte 24 exceeds the file");
  await refused(valid().string("k").uint32(8).uint64(2 ** 40), "1099511627776 at byte");
  await refused(valid().string("k").uint32(9).uint32(4).uint64(2 ** 20), "1048576 at byte");
  await refused(valid().string("k").uint32(13).uint32(0).uint64(0), "metadata of type 13");
  await refused(new Bytes().start(0, 2).text("k", "a").text("k", "b"), "two values of k");
  const tensors = () => new Bytes().start(2, 0).tensor("x", [8], 0);
  await refused(tensors().tensor("x", [8], 32), "tensor x: is listed twice");
  await refused(tensors().tensor("y", [8], 33), "tensor y: starts at 33, no multiple of 32");
  await refused(tensors().tensor("y", [1, 1, 1, 1, 1], 32), "tensor y: 5 dimensions, at most 4");
  await refused(
    new Bytes().start(0, 1).string("general.alignment").uint32(4).uint32(48),
    "general.alignment must be a power of 2, got 48",
  );
});

Deno.test("gguf: counts that are listed for every layer, and llama.cpp's null token", () => {
  const read = (values: Record<string, unknown>) => new Metadata("x.gguf", values);
  assertEquals(read({ k: [4, 4, 4] }).countOfLayers("k"), 4);
  assertEquals(read({ k: 4 }).countOfLayers("k"), 4);
  assertEquals(read({}).countOfLayers("k", 8), 8);
  for (const k of [[4, 2], [0, 0], [], ["a"]]) {
    const message = `x.gguf: k must be the same positive integer for every layer, got a list of`;
    assertRefuses(() => read({ k }).countOfLayers("k"), UserError, message);
  }
  // LLAMA_TOKEN_NULL, −1
  assertEquals(read({ k: 0xffffffff }).tokenId("k"), undefined);
});

Deno.test("gguf: features of llama.cpp that would change the result are refused by key", () => {
  const read = (values: Record<string, unknown>) => {
    const all = { "general.architecture": "llama", ...values };
    return readGgufConfig(new Metadata("x.gguf", all), new Map());
  };
  for (
    const [values, message] of [
      [{ "general.type": "adapter" }, "x.gguf: is not a model: its general.type is adapter"],
      [
        { "llama.expert_count": 8 },
        "llama.expert_count 8 is not supported\n  hint: only 0 or 1 is",
      ],
      [{ "llama.logit_scale": 0.5 }, "llama.logit_scale 0.5 is not supported"],
      [{ "llama.attention.causal": false }, "llama.attention.causal false is not supported"],
      [{ "llama.attn_logit_softcapping": 50 }, "llama.attn_logit_softcapping 50 is not"],
      // Neutral: the next fault is another.
      [{ "llama.expert_count": 0, "llama.logit_scale": 1 }, "lacks llama.embedding_length"],
    ] as const
  ) assertRefuses(() => read(values), UserError, message);
});
