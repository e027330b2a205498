/**
 * Makes a package for npm's registry and for `npm install FILE`:
 *
 *     deno task pack [FILE]
 *
 * It holds JavaScript and declarations, so no program that imports it checks our types by its own
 * compiler options. Deno runs all of it. Elsewhere its kernels run, in one file with their shaders,
 * and everything else says in one line that it needs Deno: a module cannot, because what it imports
 * as text and as WebAssembly ends its loading first.
 *
 * @module
 */
import { fromFileUrl, join, resolve } from "./src/packages/std_path.ts";
import * as library from "./mod.ts";
import * as server from "./server.ts";

const ROOT = fromFileUrl(new URL(".", import.meta.url));

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, cwd: ROOT }).output();
  if (success) return;
  console.error(new TextDecoder().decode(stderr));
  throw new Error(`${command} ${args[0]} failed`);
}

/** A module that has the names of `module`, so that it can be imported, and says what it needs. */
export function needsDeno(module: object): string {
  const names = Object.keys(module).filter((name) => name !== "default");
  return `import "../src/host/needs_deno.js";\nexport let ${names.join(", ")};\n`;
}

interface Manifest {
  exports: Record<string, Record<string, string>>;
  engines?: Record<string, string>;
}

async function pack(file: string): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const packed = join(folder, "packed.tgz"), content = join(folder, "package");
    const elsewhere = join(content, "elsewhere");
    await run(Deno.execPath(), "pack", "--allow-dirty", "--no-source-maps", "--output", packed);
    await run("tar", "-xzf", packed, "-C", folder);
    await Deno.mkdir(elsewhere);
    await Promise.all([
      Deno.writeTextFile(join(elsewhere, "mod.js"), needsDeno(library)),
      Deno.writeTextFile(join(elsewhere, "server.js"), needsDeno(server)),
      Deno.writeTextFile(join(elsewhere, "cli.js"), 'import "../src/host/needs_deno.js";\n'),
      run(
        Deno.execPath(),
        "bundle",
        "--platform=browser",
        `--output=${join(elsewhere, "kernels.js")}`,
        "kernels.ts",
      ),
    ]);
    const path = join(content, "package.json");
    const manifest: Manifest = JSON.parse(await Deno.readTextFile(path));
    for (const [name, { types, import: module }] of Object.entries(manifest.exports)) {
      const other = module.replace("./", "./elsewhere/");
      manifest.exports[name] = { types, deno: module, default: other };
    }
    manifest.engines = { deno: ">=2.9" };
    await Deno.writeTextFile(path, JSON.stringify(manifest, null, 2));
    await run("tar", "-czf", file, "-C", folder, "package");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const file = resolve(Deno.args[0] ?? "trainer.tgz");
  await pack(file);
  console.error(`pack: ${file}: ${(Deno.statSync(file).size / 1e6).toFixed(1)} MB`);
}
