import { assertEquals } from "@std/assert";
import { KernelPass } from "../../src/gpu/pass.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { download, gpuTest } from "../support.ts";

const add = defineKernel(
  "add",
  `@group(0) @binding(0) var<storage, read> x: array<u32>;
  @group(0) @binding(1) var<storage, read_write> y: array<u32>;
  @compute @workgroup_size(1) fn main() { y[0] += x[0] + 1u; }`,
);

gpuTest("bind groups are made once for the same operands, and go with any of them", async (gpu) => {
  const before = gpu.bindGroups.size;
  const spec = { shape: [8], dtype: "uint32", purpose: "workspace" } as const;
  const kept = gpu.tensor({ name: "kept", ...spec });
  for (let round = 1; round <= 3; round++) {
    const scope = new Scope(gpu), pass = new KernelPass(gpu);
    const [x, other] = ["x", "other"].map((name) => scope.tensor({ name, ...spec }));
    const run = (x: typeof kept, y: typeof kept) =>
      pass.dispatch({ kernel: add, operands: { x, y }, workgroups: [1] });
    for (let i = 0; i < 5; i++) run(x, kept);
    run(other, x);
    pass.submit();
    assertEquals(gpu.bindGroups.size - before, 2);
    assertEquals((await download(gpu, kept))[0], 5 * round);
    scope.release();
    assertEquals(gpu.bindGroups.size, before, "each has an operand that is gone");
  }
  gpu.release(kept);
});
