/** Rules of this code base that a compiler does not check. */
import { assertEquals } from "@std/assert";
import { basename, fromFileUrl, join, relative } from "@std/path";
import { PRODUCT as DASHBOARD_PRODUCT } from "../src/server/dashboard/product.js";
import { PRODUCT, VERSION } from "../src/product.ts";
import { TESTED_AS } from "./kernels/support_strategies.ts";
import { project } from "./support_project.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/**
 * Layers, lowest first, one folder or file each: a file imports from its own layer and those below.
 */
const RUNGS = [
  "shaders",
  "src/packages",
  "src/product.ts",
  "src/text.ts",
  "src/options",
  "src/numbers",
  "src/host",
  "src/parallel",
  "src/plot",
  "src/files",
  "src/jinja",
  "src/hub",
  "src/gpu",
  "src/kernels",
  "src/model",
  "src/optim",
  "src/formats",
  "src/tokenizers",
  "src/data",
  "src/export",
  "src/inference",
  "src/eval",
  "src/train",
  "src/report",
  "src/compare",
  "src/config",
  "kernels.ts",
  "mod.ts",
  "src/server/dashboard",
  "src/server/server_log.ts",
  "src/server/option_types.ts",
  "src/server/options.ts",
  "src/server/api_error.ts",
  "src/server/store",
  "src/server/services.ts",
  "src/server/protocol",
  "src/server/processes",
  "src/server/files",
  "src/server/storage",
  "src/server/worker",
  "src/server/jobs",
  "src/server/pool",
  "src/server/agent",
  "src/server/admission",
  "src/server/inference",
  "src/server/models",
  "src/server/events",
  "src/server/http",
  "src/server/compiled.ts",
  "src/server/parts.ts",
  "src/server/open_server.ts",
  "src/server/serve.ts",
  "bench",
  "src/cli",
  "server.ts",
  "cli.ts",
  "setup.ts",
  "compile.ts",
  "pack.ts",
  "examples",
  "tests",
];

function filesIn(folder: string, extension: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) return filesIn(path, extension);
    return path.endsWith(extension) ? [path] : [];
  }).sort();
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(join(ROOT, path)).isFile;
  } catch {
    return false;
  }
}

const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));

const shaders = filesIn("shaders", ".wgsl").filter((path) => !path.startsWith("shaders/lib/"));
/** With its family: matmul/matmul_tiled. */
const shaderName = (path: string) => path.replace(/^shaders\/|\.wgsl$/g, "");

/** Files of the project that a module imports, its types included, by path. */
function importsOf(path: string): string[] {
  return [...read(path).matchAll(/^(?:import|export|\}).*? from "(\.[^"]+)"|import\("(\.[^"]+)"/gm)]
    .map(([, specifier, dynamic]) => relative(ROOT, join(ROOT, path, "..", specifier ?? dynamic)));
}

Deno.test("a kernel is four files of one name, in the folder of its family", () => {
  const missing = shaders.map(shaderName).flatMap((name) => {
    const tested = name.replace(/[^/]*$/, (own) => TESTED_AS[own] ?? own);
    const launcher = [name, tested].map((each) => `src/kernels/${each}.ts`).find(exists);
    return [
      launcher ?? `src/kernels/${name}.ts`,
      `tests/kernels/${tested}_test.ts`,
      `tests/oracles/${tested}.ts`,
    ].filter((path) => !exists(path));
  });
  assertEquals(missing, []);
});

Deno.test("a kernel's test ends by checking that it ran every alternative", () => {
  const tests = new Set(
    shaders.map(shaderName).map((name) =>
      `tests/kernels/${name.replace(/[^/]*$/, (own) => TESTED_AS[own] ?? own)}_test.ts`
    ),
  );
  const without = [...tests].filter((path) =>
    !read(path).endsWith("\ntestAlternatives(import.meta.url);\n")
  );
  assertEquals(without, []);
});

Deno.test("no exception has outlived its shader", () => {
  const names = new Set(shaders.map((path) => basename(path, ".wgsl")));
  assertEquals(Object.keys(TESTED_AS).filter((name) => !names.has(name)), []);
});

Deno.test("every shared snippet of WGSL is used", () => {
  const used = new Set(filesIn("src", ".ts").flatMap(importsOf));
  assertEquals(filesIn("shaders", ".wgsl").filter((path) => !used.has(path)), []);
});

/** Every module of the project: sources, entry points, examples, benchmarks and tests. */
const modules = RUNGS.flatMap((rung) => rung.endsWith(".ts") ? [rung] : filesIn(rung, ".ts"))
  .filter((path) => !path.endsWith(".d.ts") && !path.startsWith("tests/fixtures/"));

/** -1 where it has none. */
const rungOf = (path: string) =>
  RUNGS.findIndex((rung) => path === rung || path.startsWith(`${rung}/`));

Deno.test("every module has its rung", () => {
  const entries = [...Deno.readDirSync(ROOT)].map(({ name }) => name);
  const all = [...filesIn("src", ".ts"), ...entries.filter((name) => name.endsWith(".ts"))];
  const declarations = /\.d\.ts$/;
  assertEquals(all.filter((path) => rungOf(path) < 0 && !declarations.test(path)), []);
});

Deno.test("imports run downwards", () => {
  const upwards = modules.flatMap((path) =>
    importsOf(path)
      .filter((imported) => rungOf(imported) < 0 || rungOf(imported) > rungOf(path))
      .map((imported) => `${path} imports ${imported}`)
  );
  assertEquals(upwards, []);
});

Deno.test("examples use only exported symbols", () => {
  const entryPoints = ["mod.ts", "kernels.ts", "server.ts"];
  const behind = filesIn("examples", ".ts").flatMap((path) =>
    importsOf(path).filter((imported) => !entryPoints.includes(imported))
      .map((imported) => `${path} imports ${imported}`)
  );
  assertEquals(behind, []);
});

Deno.test("no imports in circles, types included", () => {
  const done = new Set<string>(), circles: string[] = [];
  const visit = (path: string, trail: string[]) => {
    const seen = trail.indexOf(path);
    if (seen >= 0) circles.push([...trail.slice(seen), path].join(" → "));
    if (seen >= 0 || done.has(path)) return;
    for (const imported of importsOf(path).filter((each) => each.endsWith(".ts"))) {
      visit(imported, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of modules) visit(path, []);
  assertEquals(circles, []);
});

/** Layers between option spelling and the front ends; src/host names other programs' flags. */
const LIBRARY = [
  ...RUNGS.slice(RUNGS.indexOf("src/files"), RUNGS.indexOf("kernels.ts")),
  // Its clients have no command line; src/server/processes names Deno's flags.
  ...RUNGS.slice(RUNGS.indexOf("src/server/files"), RUNGS.indexOf("src/server/compiled.ts")),
];

Deno.test("no flag is spelled below the front ends", () => {
  const spelled = LIBRARY.flatMap((folder) => filesIn(folder, ".ts")).flatMap((path) =>
    read(path).split("\n")
      .filter((line) => /--[a-z]/.test(line) && !/^\s*(\*|\/\*|\/\/)/.test(line))
      .map((line) => `${path}: ${line.trim()}`)
  );
  assertEquals(spelled, [], "an option in a text is data: see src/options/phrase.ts");
});

/** Here `pathname` is what an HTTP client asked for. */
const OF_HTTP = [
  /^src\/(hub|server\/http)\//,
  /^tests\/(hub|server)\//,
  "tests/examples/mounted_test.ts",
  "tests/structure_test.ts",
];

Deno.test("no URL of a file is taken for its path", () => {
  const documents = [...filesIn("docs", ".md"), "README.md", "CONTRIBUTING.md"];
  const taken = [...modules, ...documents].flatMap((path) => {
    const ofHttp = OF_HTTP.some((each) => path.match(each));
    const rule = ofHttp ? /(import\.meta\.url\)|\b[A-Z_]+)\.pathname/ : /\bpathname\b|file:\/\//;
    return read(path).split("\n").filter((line) => rule.test(line))
      .map((line) => `${path}: ${line.trim()}`);
  });
  const hint = "a URL writes spaces, accents and drive letters otherwise: use fromFileUrl";
  assertEquals(taken, [], hint);
});

Deno.test("what can be imported is there", () => {
  const missing = modules.flatMap((path) =>
    importsOf(path).filter((imported) => !exists(imported)).map((it) => `${path} imports ${it}`)
  );
  assertEquals(missing, []);
});

Deno.test("deno.lock, which every task fetches, holds the product's packages alone", () => {
  const product = filesIn("src/packages", ".ts").map(read).join("\n");
  const locked = Object.keys(JSON.parse(read("deno.lock")).specifiers)
    .map((specifier) => specifier.slice(0, specifier.lastIndexOf("@")));
  assertEquals(
    locked.filter((name) => name !== "npm:@webgpu/types" && !product.includes(`"${name}@`)),
    [],
    "`deno test` without `--lock=tests/deno.lock` writes a test's packages there: " +
      "`git checkout main deno.lock`, and `deno task test FILE`",
  );
});

Deno.test("one name and one version, wherever they stand", () => {
  assertEquals(project.version, VERSION);
  assertEquals(DASHBOARD_PRODUCT, PRODUCT);
  assertEquals(read("src/server/dashboard/index.html").match(/<title>(.*)<\/title>/)?.[1], PRODUCT);
  assertEquals(read("README.md").split("\n")[0], `# ${PRODUCT}`);
});
