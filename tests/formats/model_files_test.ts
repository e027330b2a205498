import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { copyModelFiles, readRawConfig } from "../../src/formats/model_files.ts";

async function withFolders(run: (from: string, to: string) => Promise<void>): Promise<void> {
  const from = await Deno.makeTempDir(), to = await Deno.makeTempDir();
  try {
    await run(from, to);
  } finally {
    await Deno.remove(from, { recursive: true });
    await Deno.remove(to, { recursive: true });
  }
}

Deno.test("model files: what lies beside the weights is kept as it was", async () => {
  await withFolders(async (from, to) => {
    const template = "{% for message in messages %}\r\n{{ message }}\n", odd = '{ "top_k":20,\n}';
    await Deno.writeTextFile(join(from, "chat_template.jinja"), template);
    await Deno.writeTextFile(join(from, "generation_config.json"), odd); // not even parsed
    await Deno.writeTextFile(join(from, "config.json"), "{}");
    await Deno.writeTextFile(join(from, "model.safetensors"), "weights");
    await Deno.writeTextFile(join(to, "generation_config.json"), "{}");
    assertEquals(await copyModelFiles(from, to), ["generation_config.json", "chat_template.jinja"]);
    assertEquals(await Deno.readTextFile(join(to, "chat_template.jinja")), template);
    assertEquals(await Deno.readTextFile(join(to, "generation_config.json")), odd);
    assertEquals([...Deno.readDirSync(to)].length, 2);
    assertEquals(await copyModelFiles(from, from), []);
    assertEquals(await copyModelFiles(join(from, "config.json"), to), []); // as a .gguf would be
    assertEquals(await copyModelFiles(join(from, "none"), to), []);
  });
});

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
