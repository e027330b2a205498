import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { withChatModel } from "../inference/support.ts";
import { documented, PLANETS, run } from "./support.ts";

const EXAMPLE = "examples/finetune_library.ts";
const OWN_OBJECTIVE = "examples/own_objective.ts";

Deno.test("examples: the library fine-tunes and talks", async () => {
  await withChatModel({}, async (model) => {
    const output = `${model}/run`;
    const { code, out, err } = await run(await documented(EXAMPLE, [model, PLANETS, output]));
    assertEquals(code, 0, out + err);
    assertMatch(out, /^\d+ steps, \d+ MiB on /);
    assertMatch(out, /^step 10: loss \d/m);
    const [before, after] = [...out.matchAll(/^held out, step \d+: (.+)$/gm)].map(([, x]) => +x);
    assert(after < before, out);
    assertMatch(out, /\d+ tokens seen\nWhich planet is closest to the Sun\?\n./);
  });
});

Deno.test("examples: what is wrong is said in a line", async () => {
  const none = await run(await documented(EXAMPLE, []));
  assertEquals(none.code, 2);
  assertStringIncludes(none.err, "usage: ");
  const folder = await Deno.makeTempDir();
  const wrong = await run(await documented(EXAMPLE, [folder, PLANETS, `${folder}/run`]));
  await Deno.remove(folder, { recursive: true });
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.err, folder);
  assert(!wrong.err.includes("    at "), wrong.err);
  const missing = await run(await documented(OWN_OBJECTIVE, [`${folder}/none.txt`, folder]));
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.err, "none.txt");
  assert(!missing.err.includes("    at "), missing.err);
});

Deno.test("examples: an objective of one's own trains, and its checkpoint says so", async () => {
  const output = await Deno.makeTempDir(), text = `${output}/text.txt`;
  // Held out is a share of it, whose evaluation would take as long as the steps.
  const whole = await Deno.readTextFile("examples/data/tinyshakespeare.txt");
  await Deno.writeTextFile(text, whole.slice(0, 200_000));
  const { code, out, err } = await run(await documented(OWN_OBJECTIVE, [text, `${output}/run`]));
  assertEquals(code, 0, out + err);
  const losses = [...out.matchAll(/weighted loss (\S+)/g)].map(([, x]) => +x);
  assertEquals(losses.length, 40);
  assert(losses[39] < 0.7 * losses[0], out);
  // Uniform over 257 ids to begin with.
  const perplexity = +out.match(/perplexity (\S+)/)![1];
  assert(perplexity < 60, out);
  const manifest = JSON.parse(await Deno.readTextFile(`${output}/run/checkpoint-40/manifest.json`));
  assertEquals(manifest.state.objective, "rare_bytes");
  await Deno.remove(output, { recursive: true });
});
