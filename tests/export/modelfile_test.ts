/** Modelfiles against what Ollama's own parser and template engine made of them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { ChatTemplate } from "../../src/data/instruct/chat_template.ts";
import { goTemplate } from "../../src/export/go_template.ts";
import { writeModelfile } from "../../src/export/modelfile.ts";
import { DAY, tokenizers } from "../data/instruct/support.ts";
import { CASES } from "./support_modelfile.ts";

const golden = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/export/ollama.json", import.meta.url)),
);

for (const { name, rendered, modelfile } of CASES) {
  Deno.test(`Modelfile: Ollama writes dialogues as ${name}`, () => {
    // What Ollama read is what is written today.
    assertEquals(modelfile, golden[name].modelfile);
    assertEquals(rendered, golden[name].texts);
    assertEquals(golden[name].commands, [
      "model=./model.gguf",
      "stop=<|im_end|>",
      'stop=a "mark"\nof two lines',
      "temperature=0.6",
      "top_k=50",
      "top_p=0.9",
      "repeat_penalty=1.1",
      "num_ctx=2048",
    ]);
  });
}

function templateOf(source: string): ChatTemplate {
  return new ChatTemplate(source, {
    name: "own",
    specialTokens: tokenizers.chat.specialTokens,
    now: DAY,
  });
}

Deno.test("Modelfile: a template that does more than to write texts around contents has none", () => {
  const counting = "{% for m in messages %}{{ loop.index }}: {{ m.content }}\n{% endfor %}";
  assertEquals(goTemplate(templateOf(counting)), undefined);
  const upper = "{% for m in messages %}{{ m.content | upper }}{% endfor %}";
  assertEquals(goTemplate(templateOf(upper)), undefined);
  assertEquals(goTemplate(templateOf("{{ raise_exception('no') }}")), undefined);
});

Deno.test("Modelfile: beside the file, unless somebody's own is there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const generation = { eosTokenIds: [0, 401], ignored: [] };
    const write = (name: string) =>
      writeModelfile(join(folder, name), {
        tokenizer: tokenizers.chat,
        generation,
        maxPositions: 8192,
      });
    assertEquals(await write("a.gguf"), join(folder, "Modelfile"));
    assertEquals(await write("a.gguf"), join(folder, "Modelfile"));
    const text = await Deno.readTextFile(join(folder, "Modelfile"));
    assertMatch(
      text,
      /FROM \.\/a\.gguf\nPARAMETER stop "<\|endoftext\|>"\nPARAMETER stop "<\|im_end\|>"\n$/,
    );
    assertEquals(await write("b.gguf"), join(folder, "b.gguf.Modelfile"));
    await Deno.writeTextFile(join(folder, "Modelfile"), "FROM ./a.gguf\nSYSTEM my own");
    assertEquals(await write("a.gguf"), join(folder, "a.gguf.Modelfile"));
    assert((await Deno.readTextFile(join(folder, "Modelfile"))).includes("my own"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
