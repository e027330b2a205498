import { assertAlmostEquals, assertEquals } from "@std/assert";
import { PlanAllocator, type PlannedMemory, type TensorSpec } from "../../src/gpu/allocator.ts";
import {
  DRIVER_MEMORY,
  driverBytes,
  driverMemoryOf,
  largestFirst,
} from "../../src/gpu/driver_memory.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { addressSpace } from "../support_memory.ts";

const MIB = 2 ** 20;

Deno.test("a block is taken whole, a larger buffer for itself, small ones share", () => {
  const bytes = (...sizes: number[]) =>
    driverBytes(sizes.map((size) => size * MIB), DRIVER_MEMORY.vulkan) / MIB;
  assertEquals(bytes(), 128);
  assertEquals(bytes(100, 20, 7), 128);
  assertEquals(bytes(100, 20, 8), 128 + 256, "wgpu's zeros lie in the first block");
  assertEquals(bytes(250, 257), 128 + 256 + 257);
  assertEquals(bytes(250, 250, 5, 100), 128 + 2 * 256, "what is left of older blocks is used");
});

Deno.test("alignment is each backend's own", () => {
  const bytes = (sizes: number[], memory: keyof typeof DRIVER_MEMORY) =>
    driverBytes(sizes, DRIVER_MEMORY[memory]);
  const small = Array<number>(1024).fill(4);
  assertEquals(bytes(small, "software"), 4096);
  assertEquals(bytes(small, "metal"), 1024 * 16_384);
  assertEquals(bytes([...small, ...small], "direct3d12"), (128 + 256) * MIB, "64 KiB each");
  assertEquals(bytes([...small, ...small], "vulkan"), 128 * MIB);
  assertEquals(driverMemoryOf({ software: false }, "darwin"), DRIVER_MEMORY.metal);
});

/** Address space is taken at once, and nothing else of a block that no one writes to. */
Deno.test({
  name: "the process grows by the bytes that are computed, in the order that wastes least",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using gpu = await Gpu.open();
    if (!gpu.capabilities.software) return;
    const plan = new PlanAllocator(), memory = DRIVER_MEMORY.vulkanShared;
    // Up to 3 MiB, then ten of more than half a block.
    const specs = Array.from({ length: 200 }, (_, i): TensorSpec => ({
      name: `t${i}`,
      shape: [i < 190 ? 8 * (1 + (i * 7919) % 97_000) : (66 + i - 190) * MIB / 4],
      dtype: "float32",
      purpose: "workspace",
    }));
    for (const spec of specs) plan.tensor(spec);
    const blocks = (tensors: readonly PlannedMemory[]) =>
      driverBytes(tensors.map(({ bytes }) => bytes), memory) / MIB - 64;
    const grown = async (make: () => void) => {
      const before = addressSpace();
      make();
      await gpu.check();
      return (addressSpace() - before) / MIB;
    };
    const { live } = plan.account;
    assertEquals([blocks(plan.tensors), blocks(largestFirst(plan.tensors))], [1536, 1280]);
    // The process's own heap grows as well.
    let reserved: Disposable;
    const reserve = () => void (reserved = gpu.reserve(plan.tensors));
    assertAlmostEquals(await grown(reserve), 1280, 16);
    assertEquals(gpu.account.live, 0, "counted when its tensor is");
    const made: Tensor[] = [];
    const allocate = () => void made.push(...specs.map((spec) => gpu.tensor(spec)));
    assertAlmostEquals(await grown(allocate), 0, 8);
    assertEquals(gpu.account.live, live);
    reserved![Symbol.dispose]();
    for (const tensor of made) gpu.release(tensor);
    assertAlmostEquals(await grown(allocate), 1536, 16, "in their own order");
  },
});
