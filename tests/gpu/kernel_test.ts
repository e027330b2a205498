import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/gpu/errors.ts";
import { constantValues, defineKernel, packParameters, specialised } from "../../src/gpu/kernel.ts";

const SOURCE = `
// struct Params { not: this }
struct Params { rows: u32, scale: f32, // a comment: with a colon
  offset: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
// @group(0) @binding(9) var<storage, read> commented: array<f32>;
@group(0) @binding(1)
var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var staged: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var target: texture_storage_2d<rgba32float, write>;
@group(1) @binding(0) var<uniform> params: Params;`;

Deno.test("bindings and parameters are read from the WGSL, comments are not", () => {
  const kernel = defineKernel("sample", SOURCE);
  assertEquals(kernel.bindings, [
    { name: "x", binding: 0, access: "read" },
    { name: "y", binding: 1, access: "write" },
    { name: "staged", binding: 2, access: "read", texture: "rgba32float" },
    { name: "target", binding: 3, access: "write", texture: "rgba32float" },
  ]);
  assertEquals(kernel.parameters, [
    { name: "rows", type: "u32" },
    { name: "scale", type: "f32" },
    { name: "offset", type: "i32" },
  ]);
});

Deno.test("parameters are packed in the order of the struct, little-endian", () => {
  const view = new DataView(new ArrayBuffer(16));
  packParameters(defineKernel("sample", SOURCE), { offset: -2, rows: 7, scale: 0.5 }, view, 4);
  assertEquals([view.getUint32(4, true), view.getFloat32(8, true), view.getInt32(12, true)], [
    7,
    0.5,
    -2,
  ]);
});

Deno.test("a parameter that is missing, unknown or no whole number is named", () => {
  const kernel = defineKernel("sample", SOURCE), view = new DataView(new ArrayBuffer(16));
  const pack = (values: Record<string, number>) => () => packParameters(kernel, values, view, 0);
  const good = { rows: 1, scale: 1, offset: 0 };
  assertThrows(
    pack({ rows: 1, scale: 1 }),
    GpuError,
    "parameter offset must be i32, got undefined",
  );
  assertThrows(pack({ ...good, rows: 1.5 }), GpuError, "parameter rows must be u32, got 1.5");
  assertThrows(pack({ ...good, extra: 1 }), GpuError, "unknown parameter extra");
});

Deno.test("a parameter of another type is refused where the kernel is defined", () => {
  assertThrows(
    () => defineKernel("odd", "struct Params { size: vec2 }"),
    GpuError,
    "kernel odd: parameter size must be u32, i32 or f32, got vec2",
  );
});

const LIBRARIES = {
  scale:
    "// @use half | full, one\n// @const LANES\nfn scaled(x: f32) -> f32 { return factor() * x; }",
  one: "const ONE = 1.0;",
  half: "enable f16;\nfn factor() -> f32 { return f32(0.5h); }",
  full: "fn factor() -> f32 { return 1.0; }",
};
const USER = `// Scales.
// @use scale
override WORKGROUP_SIZE: u32; // override NOT: u32;
override FLAG: bool;
@compute @workgroup_size(WORKGROUP_SIZE) fn main() {}`;
const constants = { WORKGROUP_SIZE: 64, FLAG: [0, 1], LANES: [2, 4] };

Deno.test("libraries come before the source that uses them, `enable` lines before all", () => {
  const half = defineKernel("half", USER, { libraries: LIBRARIES, variants: ["half"], constants });
  const order = ["enable f16;", "fn factor", "fn scaled", "fn main"].map((it) =>
    half.code.indexOf(it)
  );
  assertEquals(order[0], 0);
  assertEquals(order.toSorted((a, b) => a - b), order);
  assertEquals(half.code.match(/enable/g)?.length, 1);
  assertEquals(half.features, ["shader-f16"]);
  const full = defineKernel("full", USER, { libraries: LIBRARIES, variants: ["full"], constants });
  assertEquals(full.features, []);
  const lanes = "@compute @workgroup_size(1) fn main() { _ = subgroupAdd(1.0); }";
  assertEquals(defineKernel("lanes", lanes).features, ["subgroups"]);
  assertEquals(
    specialised(half, { LANES: 4 }).split("\n").slice(0, 2),
    ["enable f16;", "const LANES = 4u;"],
  );
});

Deno.test("what a shader uses and declares is what it is given", () => {
  const define = (options: Parameters<typeof defineKernel>[2], source = USER) => () =>
    defineKernel("k", source, { libraries: LIBRARIES, variants: ["full"], constants, ...options });
  const cases: [() => unknown, string][] = [
    [define({ variants: [] }), "scale uses one of half, full, the variants name none of them"],
    [
      define({ variants: ["half", "full"] }),
      "scale uses one of half, full, the variants name half and full",
    ],
    [define({ variants: ["full", "other"] }), "nothing uses other"],
    [define({}, "// @use nothing"), "the shader uses nothing, which is not a library"],
    [define({ constants: { ...constants, FLAG: [] } }), "constant FLAG has no values"],
    [define({ constants: { ...constants, SIDE: 8 } }), "the WGSL declares no SIDE"],
  ];
  for (const [run, message] of cases) assertThrows(run, GpuError, `kernel k: ${message}`);
});

Deno.test("constants are those of the kernel, in its order", () => {
  const kernel = defineKernel("k", USER, { libraries: LIBRARIES, variants: ["full"], constants });
  assertEquals(kernel.constants.map(({ name, kind, type }) => [name, kind, type]), [
    ["LANES", "const", "u32"],
    ["WORKGROUP_SIZE", "override", "u32"],
    ["FLAG", "override", "bool"],
  ]);
  assertEquals(constantValues(kernel, { FLAG: 1, LANES: 2 }), [2, 64, 1]);
  const values = (given: Record<string, number>) => () => constantValues(kernel, given);
  assertThrows(values({ FLAG: 1 }), GpuError, "constant LANES must be 2, 4, got undefined");
  assertThrows(values({ FLAG: 2, LANES: 2 }), GpuError, "constant FLAG must be 0, 1, got 2");
  assertThrows(values({ FLAG: 0, LANES: 2, SIDE: 1 }), GpuError, "unknown constant SIDE");
});
