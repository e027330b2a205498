/** The JSDoc types of the dashboard's modules, which run in a browser and not in Deno. */
import { assert } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { project, PROJECT_FILE } from "../../support_project.ts";

const FOLDER = fromFileUrl(new URL("../../../src/server/dashboard", import.meta.url));

Deno.test("the types of the dashboard's modules hold", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const names = ["uplot/dist/uPlot.esm.js", "eventsource-parser"];
    const browser = {
      imports: Object.fromEntries(
        names.map((name) => [name, new URL(project.imports[name], PROJECT_FILE).href]),
      ),
      compilerOptions: {
        checkJs: true,
        lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext"],
      },
    };
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(browser));
    const modules = await Array.fromAsync(Deno.readDir(FOLDER), ({ name }) => name);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "check",
        "--quiet",
        "--no-lock",
        `--config=${join(folder, "deno.json")}`,
        ...modules.filter((name) => name.endsWith(".js")).map((name) => join(FOLDER, name)),
      ],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
