/** Which files have the mark of the same weights. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { weightsMark } from "../../src/formats/weights_mark.ts";

const TIED = fromFileUrl(new URL("../fixtures/models/llama-gqa-tied", import.meta.url));

Deno.test("the mark of a tied model is the same with its head written out, another with a value changed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(join(TIED, "config.json"), join(folder, "config.json"));
    const file = await Safetensors.open(join(TIED, "model.safetensors"));
    const entries = await Promise.all(
      [...file.tensors.values()].map(async (info) => ({
        ...info,
        data: await file.read(info.name),
      })),
    );
    file.close();
    const head = entries.find(({ name }) => name === "model.embed_tokens.weight")!;
    const markWith = async (all: typeof entries) => {
      await writeSafetensors(join(folder, "model.safetensors"), all, { format: "pt" });
      using model = await openPretrained(folder);
      return await weightsMark(model);
    };
    using tied = await openPretrained(TIED);
    const mark = await weightsMark(tied);
    assertEquals(await markWith([...entries, { ...head, name: "lm_head.weight" }]), mark);
    const norm = entries.find(({ name }) => name === "model.norm.weight")!;
    norm.data[1] ^= 1;
    assertNotEquals(await markWith(entries), mark);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
