import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/gpu/errors.ts";
import { defineKernel, packParameters } from "../../src/gpu/kernel.ts";

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
  assertEquals(kernel.bindings.map(({ name, binding, access }) => [name, binding, access]), [
    ["x", 0, "read"],
    ["y", 1, "write"],
    ["staged", 2, "texture_read"],
    ["target", 3, "texture_write"],
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
