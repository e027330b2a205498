/** Where packages come from, and that only tests fetch those of tests. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));

function modulesIn(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? modulesIn(path) : name.endsWith(".ts") ? [path] : [];
  });
}

const ENTRIES = [
  "mod.ts",
  "kernels.ts",
  "server.ts",
  "cli.ts",
  "setup.ts",
  "compile.ts",
  "pack.ts",
];
const PRODUCT = [...ENTRIES, ...modulesIn("src"), ...modulesIn("bench")];
const PACKAGES = modulesIn("src/packages"), OF_TESTS = modulesIn("tests/packages");

/** What a module imports, its types and lazy imports included; examples in comments are not. */
function specifiersOf(path: string): string[] {
  const code = read(path).split("\n").filter((line) => !/^\s*(\*|\/\*|\/\/)/.test(line)).join("\n");
  return [...code.matchAll(/(?:\bfrom |\bimport\(|\bimport )"([^"]+)"/g)].map(([, name]) => name);
}

/** `npm:hono@^4.13.0/cors` → `npm:hono@^4.13.0` */
function packageOf(specifier: string): string {
  return specifier.match(/^npm:(?:@[^/]+\/)?[^/]+/)?.[0] ?? specifier;
}

const packagesOf = (modules: readonly string[]) =>
  new Set(modules.flatMap(specifiersOf).filter((it) => it.startsWith("npm:")).map(packageOf));

/** `npm:lz4js@0.2.0` of `npm:lz4js@^0.2.0` and, as Deno writes it in a lock, of `npm:lz4js@0.2`. */
const nameOf = (wanted: string) => wanted.slice(0, wanted.lastIndexOf("@"));

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
}
const lock: Lock = JSON.parse(read("deno.lock"));
const lockOfTests: Lock = JSON.parse(read("tests/deno.lock"));

Deno.test("the product imports packages through src/packages alone, so it needs no import map", () => {
  const bare = PRODUCT.filter((path) => !path.startsWith("src/packages/")).flatMap((path) =>
    specifiersOf(path).filter((name) => !/^(\.{1,2}\/|node:)/.test(name))
      .map((name) => `${path} imports ${name}`)
  );
  assertEquals(bare, [], "import it from src/packages, which a program elsewhere finds too");
});

Deno.test("a package has one version, wherever it is named", () => {
  const wanted = [...packagesOf([...PACKAGES, ...OF_TESTS])];
  const names = wanted.map(nameOf);
  assertEquals(
    wanted.filter((it) => names.indexOf(nameOf(it)) !== names.lastIndexOf(nameOf(it))),
    [],
  );
});

Deno.test("tests run with the versions that the product ships", () => {
  for (const [name, version] of Object.entries(lock.specifiers)) {
    assertEquals(lockOfTests.specifiers[name], version, name);
  }
  const locked = new Set(Object.keys(lockOfTests.specifiers).map(nameOf));
  for (const wanted of packagesOf(OF_TESTS)) assert(locked.has(nameOf(wanted)), wanted);
});
