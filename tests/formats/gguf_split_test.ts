/** GGUF models in several files, as gguf's writer and llama.cpp's tools split them. */
import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { ggufModels, ggufName, ggufParts } from "../../src/files/gguf_path.ts";
import { GgufFile } from "../../src/formats/gguf/gguf_file.ts";
import { openPretrained, readModelConfig } from "../../src/formats/pretrained_model.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/gguf/"));
const SPLIT = FIXTURES + "split";
const part = (number: number) => `llama-0000${number}-of-00003.gguf`;

/** Calls `run` with a copy of the split model in a folder of its own. */
async function withCopy(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const number of [1, 2, 3]) {
      await Deno.copyFile(join(SPLIT, part(number)), join(folder, part(number)));
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("gguf: names of parts, as llama.cpp writes them", () => {
  assertEquals(ggufParts("a/x-00002-of-00003.gguf"), [
    "a/x-00001-of-00003.gguf",
    "a/x-00002-of-00003.gguf",
    "a/x-00003-of-00003.gguf",
  ]);
  assertEquals(ggufParts("x-2-of-3.gguf"), ["x-2-of-3.gguf"]);
  assertEquals(ggufParts("x-00001-of-99999.gguf"), ["x-00001-of-99999.gguf"]);
  assertEquals(ggufName("x-00002-of-00003.gguf"), "x");
  assertEquals(ggufName("x.Q4_K_M.GGUF"), "x.Q4_K_M");
  const names = ["b-00003-of-00003.gguf", "a.gguf", "c.txt", "b-00002-of-00003.gguf"];
  assertEquals(ggufModels(names), ["a.gguf", "b-00002-of-00003.gguf"]);
});

Deno.test("gguf: a split model opens as one, from any of its parts or their folder", async () => {
  using expected = await Safetensors.open(FIXTURES + "llama.safetensors");
  using whole = await GgufFile.open(FIXTURES + "llama.gguf");
  const tokenizer = await loadTokenizer(FIXTURES + "llama.gguf");
  for (const path of [...[1, 2, 3].map((number) => join(SPLIT, part(number))), SPLIT]) {
    using model = await openPretrained(path);
    assertEquals(model.config, whole.config);
    assertEquals(await readModelConfig(path), whole.config);
    assertEquals([...model.weights.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
    for (const name of expected.tensors.keys()) {
      const values = await model.weights.readFloat32(name);
      assertEquals(values, await expected.readFloat32(name), name);
    }
    const read = await loadTokenizer(path);
    assertEquals(read.encode("Hello, world!"), tokenizer.encode("Hello, world!"));
  }
});

Deno.test("gguf: parts that are missing, renamed or of another model are named", async () => {
  await withCopy(async (folder) => {
    const at = (number: number) => join(folder, part(number));
    const refused = (path: string, message: string) =>
      assertRefusesAsync(() => GgufFile.open(path), UserError, message);
    // Parts 2 and 3 exchanged.
    await Deno.rename(at(2), join(folder, "other"));
    await Deno.rename(at(3), at(2));
    await Deno.rename(join(folder, "other"), at(3));
    await refused(
      at(1),
      `${at(2)}: is part 3 of 3, its name says 2 of 3\n  hint: are all parts of`,
    );
    await Deno.remove(at(3));
    await refused(at(2), "of 3 parts, 1 missing: llama-00003-of-00003.gguf");
    await Deno.remove(at(2));
    await refused(at(1), "of 3 parts, 2 missing: llama-00002-of-00003.gguf, llama-00003-of");
    await Deno.rename(at(1), join(folder, "model.gguf"));
    await refused(
      join(folder, "model.gguf"),
      "is part 1 of a model in 3 files, but not named like one\n  hint: its name must end in " +
        "-00001-of-00003.gguf",
    );
  });
  const text = (value: string) => new TextEncoder().encode(value);
  const patch = async (path: string, found: string, skip: number, value: Uint8Array) => {
    const bytes = await Deno.readFile(path), wanted = text(found);
    const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
    bytes.set(value, at + skip);
    await Deno.writeFile(path, bytes);
  };
  await withCopy(async (folder) => {
    const refused = (message: string) =>
      assertRefusesAsync(() => GgufFile.open(join(folder, part(3))), UserError, message);
    // As a part of another model, cut elsewhere, would have it.
    await patch(join(folder, part(2)), "blk.0.ffn_up.weight", 0, text("blk.0.attn_q.weight"));
    await refused(
      `${part(2)}: has tensor blk.0.attn_q.weight, as has ${part(1)}\n  hint: are all parts of`,
    );
    await patch(join(folder, part(2)), "blk.0.attn_q.weight", 0, text("blk.0.ffn_up.weight"));
    // After a key: its type (4 bytes), and the value.
    const key = "split.tensors.count";
    await patch(join(folder, part(1)), key, key.length + 4, Uint8Array.of(13));
    await refused("its parts have 12 tensors, the model has 13");
  });
});

Deno.test("gguf: of several models in a folder one must be named", async () => {
  await withCopy(async (folder) => {
    await Deno.copyFile(FIXTURES + "llama.gguf", join(folder, "other.gguf"));
    await assertRefusesAsync(
      () => openPretrained(folder),
      UserError,
      `config.json: cannot be read: no such file\n  hint: it has ${part(1)}, other.gguf: give the`,
    );
    await Deno.remove(join(folder, "other.gguf"));
    // Safetensors in the folder come first.
    await Deno.writeTextFile(join(folder, "model.safetensors"), "");
    await assertRefusesAsync(() => openPretrained(folder), UserError, "config.json: cannot be");
  });
});
