import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { CODEBOOKS } from "../../src/formats/gguf/codebooks.ts";
import { GgufFile } from "../../src/formats/gguf/gguf_file.ts";
import { openWeights } from "../../src/formats/open_weights.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { LLAMA_TRAITS } from "../../src/model/config.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/gguf/"));

Deno.test("gguf: values of every type are gguf's own, to the bit", async () => {
  using file = await GgufFile.open(FIXTURES + "types.gguf");
  using expected = await Safetensors.open(FIXTURES + "types.safetensors");
  const names = [...expected.tensors.keys()].filter((name) => name.startsWith("model."));
  const types = names.map((name) => file.info(name).dtype).sort();
  assertEquals(
    types.join(),
    "BF16,F16,F32,IQ1_M,IQ1_S,IQ2_S,IQ2_XS,IQ2_XXS,IQ3_S,IQ3_XXS,IQ4_NL,IQ4_XS,MXFP4,NVFP4,Q1_0," +
      "Q2_0,Q2_K,Q3_K,Q4_0,Q4_1,Q4_K,Q5_0,Q5_1,Q5_K,Q6_K,Q8_0,TQ1_0,TQ2_0",
  );
  for (const name of names) {
    const { shape, dtype } = file.info(name);
    assertEquals(shape, [2, 512]);
    const whole = await file.readFloat32(name);
    assertEquals(whole, await expected.readFloat32(name), dtype);
    // Within a block, over a block's end, a row, the end, nothing.
    for (const [start, count] of [[5, 9], [250, 300], [512, 512], [1023, 1], [1024, 0]]) {
      const range = await file.readFloat32(name, start, count);
      assertEquals(range, whole.slice(start, start + count), `${dtype} ${start}`);
    }
  }
});

Deno.test("gguf: every word of the codebooks is gguf's", async () => {
  // SHA-256 of gguf's own grids (`init_grid`), as signed bytes.
  const expected: Record<string, string> = {
    IQ1_S: "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a",
    IQ2_XXS: "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54",
    IQ2_XS: "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de",
    IQ2_S: "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88",
    IQ3_XXS: "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d",
    IQ3_S: "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f",
  };
  for (const [name, book] of Object.entries(CODEBOOKS)) {
    const digest = await crypto.subtle.digest("SHA-256", Int8Array.from(book().values));
    assertEquals(new Uint8Array(digest).toHex(), expected[name], name);
  }
});

Deno.test("gguf: a model's weights are those that transformers reads from it", async () => {
  using file = await openWeights(FIXTURES + "llama.gguf");
  using expected = await Safetensors.open(FIXTURES + "llama.safetensors");
  assertEquals([...file.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, { shape }] of expected.tensors) {
    assertEquals(file.tensors.get(name)!.shape, shape, name);
    const whole = await expected.readFloat32(name);
    assertEquals(await file.readFloat32(name), whole, name);
    // Blocks of rows as the loader reads them: 5 here, so that they start and end within heads.
    const block = 5 * shape.at(-1)!;
    for (let start = 0; start < whole.length; start += block) {
      const count = Math.min(block, whole.length - start);
      assertEquals(
        await file.readFloat32(name, start, count),
        whole.slice(start, start + count),
        `${name} from ${start}`,
      );
    }
  }
});

Deno.test("gguf: the config, with Llama 3.1's RoPE found again from its factors", async () => {
  using file = await GgufFile.open(FIXTURES + "llama.gguf");
  assertEquals(file.config, {
    ...LLAMA_TRAITS,
    vocabSize: 402,
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 1,
    heads: 4,
    keyValueHeads: 2,
    headSize: 16,
    maxPositions: 256,
    rmsNormEps: 1e-5,
    ropeTheta: 500000,
    ropeScaling: {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 64,
    },
    tieWordEmbeddings: true,
    initializerRange: 0.02,
    bosTokenId: 0,
    eosTokenId: 0,
    padTokenId: undefined,
  });
});

Deno.test("gguf: a folder or a file of safetensors opens by the same call", async () => {
  using file = await openWeights(FIXTURES + "llama.safetensors");
  assertEquals(file instanceof Safetensors, true);
  await assertRefusesAsync(
    () => openWeights(FIXTURES),
    UserError,
    "holds neither model.safetensors",
  );
});

Deno.test("gguf: a tensor beyond 4 GB is read, without what precedes it", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const whole = await Deno.readFile(FIXTURES + "llama.gguf");
    // After the name: number of dimensions, one dimension, type; then the offset within the data.
    const place = 18 + 4 + 8 + 4, offset = 5 * 2 ** 30;
    let data = 0;
    const moved = patched(whole, "output_norm.weight", (after) => {
      const view = new DataView(after.buffer, after.byteOffset);
      data = whole.length - 64 * 4 - Number(view.getBigUint64(place, true));
      view.setBigUint64(place, BigInt(offset), true);
    });
    await Deno.writeFile(path, moved);
    // Sparse: the hole takes no space.
    using file = await Deno.open(path, { write: true });
    await file.seek(data + offset, Deno.SeekMode.Start);
    await file.write(whole.subarray(-64 * 4));
    using large = await GgufFile.open(path);
    using small = await GgufFile.open(FIXTURES + "llama.gguf");
    const norm = "model.norm.weight";
    assertEquals(await large.readFloat32(norm), await small.readFloat32(norm));
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("gguf: what is broken or not supported is refused by name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "model.gguf");
    const whole = await Deno.readFile(FIXTURES + "llama.gguf");
    const refused = async (bytes: Uint8Array, message: string) => {
      await Deno.writeFile(path, bytes);
      await assertRefusesAsync(() => GgufFile.open(path), UserError, message);
    };
    await refused(
      whole.slice(0, -4000),
      "the file has 65952\n  hint: was the download or copy",
    );
    await refused(whole.slice(0, 9000), "is this a complete GGUF file?");
    await refused(whole.slice(0, 700), "is this a complete GGUF file?");
    await refused(new Uint8Array(0), "is this a complete GGUF file?");
    await refused(patched(whole, "GGUF", (at) => at.fill(0x41, 0, 4)), "GGUF magic number");
    await refused(
      patched(whole, "blk.0.attn_v.weight", (after) => after[39] = 15),
      "tensor blk.0.attn_v.weight: type Q8_K is not supported\n  hint: F32, F16, BF16, Q8_0, Q4_0",
    );
    const text = (value: string) => new TextEncoder().encode(value);
    // After a key: its type (4 bytes), and of a string the length (8).
    await refused(
      patched(whole, "general.architecture", (after) => after.set(text("rwkv6"), 20 + 12)),
      "architecture rwkv6 is not supported\n  hint: llama, qwen2, qwen3, gemma are",
    );
    await refused(
      patched(whole, "llama.block_count", (at) => at.set(text("llama.block_spoon"))),
      "lacks llama.block_count (a positive integer)",
    );
    await refused(
      patched(whole, "llama.block_count", (after) => after.fill(0, 17 + 4, 17 + 8)),
      'llama.block_count must be a positive integer, got "0"',
    );
    // A tensor of one dimension: the length stands after the number of dimensions.
    await refused(
      patched(whole, "rope_freqs.weight", (after) => after[17 + 4] = 4),
      "rope_freqs.weight must hold 8 positive divisors, got [1,2.44",
    );
    await assertRefusesAsync(() => GgufFile.open(folder), UserError, "is not a file");
    await assertRefusesAsync(() => GgufFile.open(path + "x"), UserError, "cannot be opened");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  using file = await GgufFile.open(FIXTURES + "llama.gguf");
  await assertRefusesAsync(
    () => file.readFloat32("model.norm.weight", 60, 5),
    UserError,
    "tensor model.norm.weight: elements [60, 65) of 64 asked for",
  );
  await assertRefusesAsync(
    () => file.readFloat32("lm_head.weight"),
    UserError,
    "has no tensor lm_head",
  );
});

/** A copy, edited from the first occurrence of a text on. */
function patched(bytes: Uint8Array, text: string, edit: (from: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice(), wanted = new TextEncoder().encode(text);
  const at = copy.findIndex((_, i) => wanted.every((byte, j) => copy[i + j] === byte));
  edit(copy.subarray(at));
  return copy;
}
