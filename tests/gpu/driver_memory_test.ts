import { assertAlmostEquals, assertEquals } from "@std/assert";
import { DRIVER_MEMORY, driverBytes, driverMemoryOf } from "../../src/gpu/driver_memory.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
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
  name: "the process grows by the bytes that are computed",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using gpu = await Gpu.open();
    if (!gpu.capabilities.software) return;
    const { blocks: [first] } = DRIVER_MEMORY.vulkanShared;
    const before = addressSpace(), sizes: number[] = [];
    for (let i = 0; i < 300; i++) {
      const large = i % 20 === 7, elements = large ? i * 128 * 1024 : 8 * (1 + (i * i) % 97);
      const [name, shape] = [`t${i}`, [elements]];
      sizes.push(gpu.tensor({ name, shape, dtype: "float32", purpose: "workspace" }).byteLength);
    }
    await gpu.check();
    const computed = driverBytes(sizes, DRIVER_MEMORY.vulkanShared) - first;
    const own = sizes.reduce((sum, bytes) => sum + bytes);
    // The process's own heap grows as well.
    assertAlmostEquals((addressSpace() - before) / MIB, computed / MIB, 16);
    assertEquals((computed - own) / MIB > 40, true, `${computed} of ${own}`);
  },
});
