import { assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { parseJson } from "../../src/files/json_value.ts";
import { Template } from "../../src/jinja/template.ts";

/** Made by tests/golden/make_jinja_snippets.py with Python's Jinja, set up as in transformers. */
const file = await Deno.readTextFile(
  fromFileUrl(new URL("../fixtures/jinja/snippets.json", import.meta.url)),
);
const { variables } = parseJson(file) as { variables: Record<string, unknown> };
const { cases }: { cases: { source: string; text?: string; error?: string }[] } = JSON.parse(file);
const render = (source: string) => new Template(source).render({ variables }).text;

Deno.test("every filter, test, method and operator: the text that Python renders", () => {
  const rendered = cases.filter(({ error }) => error === undefined);
  assertEquals(rendered.length, 799);
  for (const { source, text } of rendered) assertEquals(render(source), text, source);
});

Deno.test("where Python raises, rendering fails too", () => {
  const refused = cases.filter(({ error }) => error !== undefined);
  assertEquals(refused.length, 141);
  for (const { source } of refused) assertThrows(() => render(source), Error, "", source);
});
