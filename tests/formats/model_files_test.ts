import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { readRawConfig } from "../../src/formats/model_files.ts";

async function withFolders(run: (from: string, to: string) => Promise<void>): Promise<void> {
  const from = await Deno.makeTempDir(), to = await Deno.makeTempDir();
  try {
    await run(from, to);
  } finally {
    await Deno.remove(from, { recursive: true });
    await Deno.remove(to, { recursive: true });
  }
}

Deno.test("model files: config.json with all that it says", async () => {
  await withFolders(async (from) => {
    const json = { model_type: "llama", unheard_of: { a: [1, null] }, rope_theta: 1e4 };
    await Deno.writeTextFile(join(from, "config.json"), JSON.stringify(json));
    assertEquals(await readRawConfig(from), json);
    await Deno.writeTextFile(join(from, "config.json"), "[]");
    await assertRejects(() => readRawConfig(from), UserError, "config.json: must be a JSON object");
    await Deno.remove(join(from, "config.json"));
    await assertRejects(() => readRawConfig(from), UserError, "config.json: no such file");
  });
});
