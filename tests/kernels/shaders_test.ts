/**
 * Every kernel with the constants that its launchers use, as WGSL that the compiler inside Deno
 * (naga, from wgpu) accepts, and translated for Vulkan, Metal and Direct3D. Needs no GPU: this is
 * the `shaders` step of `deno task check`.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { NagaError, parseWgsl, validate, writeHlsl, writeMsl, writeSpirv } from "naga-wasm";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";
import { defineKernel, type Kernel, KERNELS, specialised } from "../../src/gpu/kernel.ts";
import {
  MATMUL_TILES,
  type MatmulTile,
  tilesWithin,
} from "../../src/kernels/matmul/matmul_tiles.ts";
import { workgroupBytes } from "./support_spirv.ts";

type Constants = Record<string, number>;

/** Files of a folder and those in it. */
function filesIn(folder: URL): URL[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(new URL(`${name}/`, folder)) : [new URL(name, folder)]
  );
}

const sources = filesIn(new URL("../../src/kernels/", import.meta.url));
for (const { href } of sources) await import(href);
const kernels = [...KERNELS];

/** The kernel's WGSL with its overrides as constants, which is what naga translates. */
function resolved(kernel: Kernel, constants: Constants): string {
  return specialised(kernel, constants).replace(
    /\boverride\s+(\w+)\s*:\s*(\w+)\s*;/g,
    (_, name, type) =>
      `const ${name}: ${type} = ${type === "bool" ? constants[name] === 1 : constants[name]};`,
  );
}

/** Its SPIR-V; throws naga's report, with the place in the source. */
function check(kernel: Kernel, constants: Constants): Uint32Array {
  try {
    using module = parseWgsl(resolved(kernel, constants));
    using info = validate(module);
    const spirv = writeSpirv(module, info);
    writeMsl(module, info);
    writeHlsl(module, info);
    return spirv;
  } catch (error) {
    if (!(error instanceof NagaError)) throw error;
    const given = JSON.stringify(constants);
    throw new Error(`kernel ${kernel.name} ${given}: ${error.formatted ?? error.message}`);
  }
}

/** Each constant takes each of its values, the others their first. */
function variants({ constants }: Kernel): Constants[] {
  const first = Object.fromEntries(constants.map(({ name, values }) => [name, values[0]]));
  const others = constants.flatMap(({ name, values }) =>
    values.slice(1).map((value) => ({ ...first, [name]: value }))
  );
  return [first, ...others];
}

Deno.test("every kernel compiles in each of its variants, for every kind of GPU", () => {
  for (const kernel of kernels) {
    for (const constants of variants(kernel)) check(kernel, constants);
  }
});

Deno.test("every shader is some kernel's", () => {
  const unused = filesIn(new URL("../../shaders/", import.meta.url)).filter((url) => {
    const text = Deno.readTextFileSync(url).replace(/^enable [^;]+;/gm, "");
    return !kernels.some(({ code }) => code.includes(text));
  });
  assertEquals(unused, []);
});

Deno.test("kernels keep to what WebGPU promises of every adapter", () => {
  const { maxStorageBuffersPerShaderStage, maxStorageTexturesPerShaderStage } =
    CONSUMER_CARD.limits;
  for (const { name, bindings, features } of kernels) {
    const textures = bindings.filter(({ texture }) => texture).length;
    assert(bindings.length - textures <= maxStorageBuffersPerShaderStage, name);
    assert(textures <= maxStorageTexturesPerShaderStage, name);
    assert(new Set(bindings.map(({ binding }) => binding)).size === bindings.length, name);
    if (!features.length) continue;
    const twin = kernels.find((each) => each.name === name.replace(/\.subgroups$/, ""));
    assertEquals([twin?.features, twin?.bindings], [[], bindings], `${name} has a plain twin`);
  }
});

Deno.test("workgroup memory is within what WebGPU promises, or a launcher asks for the limit", () => {
  const { limits } = CONSUMER_CARD, { maxComputeWorkgroupStorageSize: most } = limits;
  const shared = kernels.filter(({ code }) => code.includes("var<workgroup>"));
  const tiled = shared.filter(({ name }) => name.startsWith("matmul_tiled."));
  for (const kernel of shared) {
    if (tiled.includes(kernel)) continue;
    // No constant makes it smaller.
    const largest = kernel.constants.map(({ name, values }) => [name, Math.max(...values)]);
    const bytes = workgroupBytes(check(kernel, Object.fromEntries(largest)));
    assert(bytes > 0 && bytes <= most, `${kernel.name}: ${bytes} bytes`);
  }
  const shape = { layout: "NT", m: 512, n: 512, k: 512 } as const;
  const within = (maxComputeWorkgroupStorageSize: number, tile: MatmulTile) =>
    tilesWithin({ maxComputeWorkgroupStorageSize }, () => tile)(shape);
  for (const [name, { m, n }] of Object.entries(MATMUL_TILES)) {
    const tile = name as MatmulTile;
    const bytes = tiled.map((kernel) => {
      const [first] = variants(kernel);
      // NF4's tables are in all kernels.
      return workgroupBytes(check(kernel, { ...first, TILE_M: m, TILE_N: n }));
    });
    const largest = Math.max(...bytes);
    assertEquals(within(largest, tile), tile);
    if (largest > most) assert(within(largest - 1, tile) !== tile, `${tile}: ${largest} bytes`);
  }
});

Deno.test("what is broken is found, and what Deno takes is taken", () => {
  const main = (body: string) => `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { ${body} }`;
  const attempt = (source: string) => () => check(defineKernel("sample", source), {});
  const broken: [body: string, report: string][] = [
    ["y[i] = i;", "cannot convert elements of `u32` to `f32`"],
    ["y[i] = missing(i);", "no definition in scope for identifier: `missing`"],
    ["x[i] = 1.0;", "writing to this location is not permitted"],
    ["y[i] = 1.0h;", "`f16` enable extension is not enabled"],
    ["let a: array<f32, 2> = array<f32, 2>(); y[i] = a[2];", "Accessing index 2 is out of"],
    ["y[i] = x[i]", "expected"],
  ];
  for (const [body, report] of broken) assertThrows(attempt(main(body)), Error, report);
  attempt(main("y[i] = subgroupAdd(x[i]);"))();
  attempt(`enable f16;\n${main("y[i] = f32(f16(x[i]) * 2.0h);")}`)();
});
