/**
 * tests/fixtures/export/ollama.json: what Ollama reads in our Modelfiles.
 *
 *     deno run -A tests/golden/make_ollama.ts <ollama-golden, built from ollama.go>
 */
import { CASES, DIALOGUES } from "../export/support_modelfile.ts";

const [program] = Deno.args;
const file = await Deno.makeTempFile();
const read: Record<string, unknown> = {};
for (const { name, modelfile } of CASES) {
  await Deno.writeTextFile(file, modelfile);
  const args = [file, JSON.stringify(DIALOGUES)];
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${name}: ${new TextDecoder().decode(stderr)}`);
  read[name] = { modelfile, ...JSON.parse(new TextDecoder().decode(stdout)) };
}
await Deno.remove(file);
const fixture = new URL("../fixtures/export/ollama.json", import.meta.url);
await Deno.writeTextFile(fixture, JSON.stringify(read, null, 1) + "\n");
