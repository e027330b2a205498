/** The rules of the house that a compiler does not check. */
import { assertEquals } from "@std/assert";
import { fromFileUrl, join, relative } from "@std/path";
import { PRODUCT as DASHBOARD_PRODUCT } from "../src/server/dashboard/product.js";
import { PRODUCT, VERSION } from "../src/product.ts";
import { project } from "./support_project.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** Lowest first: a file imports from its own layer and from those before it. */
const LAYERS = [
  ["product.ts"],
  ["text.ts"],
  ["host"],
  ["gpu"],
  ["quant"],
  ["kernels"],
  ["model"],
  ["optim"],
  ["files"],
  ["hub"],
  ["formats"],
  ["tokenizers"],
  ["data"],
  ["export"],
  ["inference"],
  ["eval"],
  ["train"],
  ["config"],
  ["server"],
  ["cli"],
];

/**
 * Shaders whose test and oracle, and maybe launcher, are another's: several ways to one result, or
 * several dispatches of one operation, are tested as one.
 */
const TESTED_AS: Record<string, string> = {
  matmul_texture: "matmul",
  matmul_tiled: "matmul",
  matmul_vector: "matmul",
  // Of one backward pass, the dispatch before dq and the one after: dk and dv.
  attention_delta: "attention_backward",
  attention_backward_keys: "attention_backward",
  // The absolute maxima of NF4, quantised in turn.
  nf4_constants: "nf4_quantize",
  attention_stage: "attention",
  attention_texture: "attention",
  attention_backward_texture: "attention_backward",
  attention_backward_keys_texture: "attention_backward",
};

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
const shaderName = (path: string) => path.replace(/^shaders\/|\.wgsl$/g, "");

/** Files under the root that a module imports, by path. */
function importsOf(path: string): string[] {
  return importsIn(read(path), path);
}

/** Those that are still imported when the code runs: types are gone then. */
function runtimeImportsOf(path: string): string[] {
  return importsIn(read(path).replace(/^(import|export) type [^;]*;/gm, ""), path);
}

function importsIn(code: string, path: string): string[] {
  return [...code.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)]
    .map(([, specifier]) => relative(ROOT, join(ROOT, path, "..", specifier)));
}

Deno.test("a kernel is four files of one name", () => {
  const missing = shaders.map(shaderName).flatMap((name) => {
    const tested = TESTED_AS[name] ?? name;
    const launcher = [name, tested].map((each) => `src/kernels/${each}.ts`).find(exists);
    return [
      launcher ?? `src/kernels/${name}.ts`,
      `tests/kernels/${tested}_test.ts`,
      `tests/oracles/${tested}.ts`,
    ].filter((path) => !exists(path));
  });
  assertEquals(missing, []);
});

Deno.test("no exception has outlived its shader", () => {
  const names = new Set(shaders.map(shaderName));
  assertEquals(Object.keys(TESTED_AS).filter((name) => !names.has(name)), []);
});

Deno.test("every shared snippet of WGSL is used", () => {
  const used = new Set(filesIn("src", ".ts").flatMap(importsOf));
  assertEquals(filesIn("shaders", ".wgsl").filter((path) => !used.has(path)), []);
});

const sources = filesIn("src", ".ts").filter((path) => !path.endsWith(".d.ts"));
const layerOf = (path: string) =>
  LAYERS.findIndex((folders) => folders.includes(path.split("/")[1]));

Deno.test("every folder of src has its layer", () => {
  assertEquals(sources.filter((path) => layerOf(path) < 0), []);
});

Deno.test("imports run downwards", () => {
  const upwards = sources.flatMap((path) =>
    importsOf(path)
      .filter((imported) => imported.startsWith("src/") && layerOf(imported) > layerOf(path))
      .map((imported) => `${path} imports ${imported}`)
  );
  assertEquals(upwards, []);
});

Deno.test("no imports in circles", () => {
  const done = new Set<string>(), circles: string[] = [];
  const visit = (path: string, trail: string[]) => {
    const seen = trail.indexOf(path);
    if (seen >= 0) circles.push([...trail.slice(seen), path].join(" → "));
    if (seen >= 0 || done.has(path) || !path.startsWith("src/") || !exists(path)) return;
    // A class and its helper may name each other's types.
    for (const imported of runtimeImportsOf(path).filter((each) => each.endsWith(".ts"))) {
      visit(imported, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of sources) visit(path, []);
  assertEquals(circles, []);
});

Deno.test("what can be imported is there", () => {
  const modules = [...sources, "cli.ts", "mod.ts", "setup.ts"];
  const missing = modules.flatMap((path) =>
    importsOf(path).filter((imported) => !exists(imported)).map((it) => `${path} imports ${it}`)
  );
  assertEquals(missing, []);
});

Deno.test("one name and one version, wherever they stand", () => {
  assertEquals(project.version, VERSION);
  assertEquals(DASHBOARD_PRODUCT, PRODUCT);
  assertEquals(read("src/server/dashboard/index.html").match(/<title>(.*)<\/title>/)?.[1], PRODUCT);
  assertEquals(read("README.md").split("\n")[0], `# ${PRODUCT}`);
});
