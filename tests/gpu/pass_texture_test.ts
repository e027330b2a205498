/** Copies to textures, read back by a kernel. */
import { assertEquals, assertThrows } from "@std/assert";
import { GpuError } from "../../src/gpu/errors.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { gpuTest, runPass, upload } from "../support.ts";

/** Every texel, row after row. */
const readTexels = defineKernel(
  "test_read_texels",
  `
@group(0) @binding(0) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;

@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  out[id.y * 20u + id.x] = textureLoad(texels, id.xy);
}
`,
);

gpuTest("copyToTexture begins and ends within a row, and skips the columns beyond", async (gpu) => {
  const target = gpu.texture({
    ...{ name: "target", width: 20, height: 4, format: "rgba32uint", purpose: "workspace" },
  });
  // 44 texels of four numbers, from texel 13 of rows of 16: 3, 16, 16, 9.
  const values = Array.from({ length: 176 }, (_, i) => i + 1);
  const source = upload(gpu, "source", [22, 8], values, "uint32");
  const out = upload(gpu, "out", [4, 80], undefined, "uint32");
  runPass(gpu, (pass) => {
    pass.copyToTexture(source, target, 16, 13);
    pass.dispatch({ kernel: readTexels, operands: { texels: target, out }, workgroups: [20, 4] });
  });
  const expected = new Array<number>(4 * 80).fill(0);
  for (const [i, value] of values.entries()) {
    const texel = 13 + Math.floor(i / 4);
    expected[Math.floor(texel / 16) * 80 + (texel % 16) * 4 + i % 4] = value;
  }
  const words = new Uint32Array((await gpu.read(out)).buffer);
  assertEquals([...words], expected);
});

gpuTest("copyToTexture refuses more than the texture holds", (gpu) => {
  const target = gpu.texture({ name: "small", width: 20, height: 2, purpose: "workspace" });
  const source = upload(gpu, "source", [16, 8]);
  assertThrows(
    () => new KernelPass(gpu).copyToTexture(source, target, 16, 1),
    GpuError,
    "copy: source of 512 bytes overruns small, which has room for 31 texels from 1 on",
  );
});
