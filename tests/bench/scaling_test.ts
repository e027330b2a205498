/** docs/scaling.md has the tables that the plans and the simulation give. */
import { assertEquals } from "@std/assert";
import { marks, PARTS } from "../../bench/scaling.ts";

/** Without the padding of a table's cells. */
const cells = (text: string) => text.replaceAll(/ *\| */g, "|").replaceAll(/-+/g, "-").trim();

for (const [name, make] of Object.entries(PARTS)) {
  Deno.test(`docs/scaling.md: ${name} are as \`deno task scaling-table\` writes them`, async () => {
    const text = await Deno.readTextFile(new URL("../../docs/scaling.md", import.meta.url));
    const [begin, end] = marks(name), [, rest] = text.split(begin);
    assertEquals(cells(rest.split(end)[0]), cells(make()));
  });
}
