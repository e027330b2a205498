/** What Node prints first. Other programs, and the whole package: tests/interop/package.ts. */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import * as library from "../../mod.ts";
import { needsDeno } from "../../pack.ts";

const NODE = await new Deno.Command("node", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: "Node's first and only line about the package is that it needs Deno",
  // It came with npx, unless Deno was installed on its own.
  ignore: !NODE,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const source = new URL("../../src/host/needs_deno.ts", import.meta.url);
      await Deno.mkdir(join(folder, "src", "host"), { recursive: true });
      await Deno.mkdir(join(folder, "elsewhere"));
      // Plain JavaScript but for one type.
      const code = (await Deno.readTextFile(source)).replace(/ as \{.*\};/, ";");
      await Deno.writeTextFile(join(folder, "package.json"), '{"type":"module"}');
      await Deno.writeTextFile(join(folder, "src", "host", "needs_deno.js"), code);
      await Deno.writeTextFile(join(folder, "elsewhere", "mod.js"), needsDeno(library));
      const program = join(folder, "program.js");
      const uses = 'import { Gpu, Trainer } from "./elsewhere/mod.js"; console.log(Gpu, Trainer);';
      await Deno.writeTextFile(program, uses);
      const { code: exit, stdout, stderr } = await new Deno.Command("node", { args: [program] })
        .output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assertMatch(err, /^This program needs Deno, .*npx -y deno@2 run.*\n$/);
      assertEquals([exit, out], [1, ""]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
