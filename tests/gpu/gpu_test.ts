import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceLostError, GpuError, OutOfMemoryError } from "../../src/gpu/errors.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { Profiler } from "../../src/gpu/profiler.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { download, gpuTest, upload } from "../support.ts";

/** y[0] = y[0] · 2 + step: the order of dispatches shows in the result. */
const append = defineKernel(
  "append",
  `struct Params { step: u32 }
  @group(0) @binding(0) var<storage, read_write> y: array<u32>;
  @group(1) @binding(0) var<uniform> params: Params;
  @compute @workgroup_size(1) fn main() { y[0] = y[0] * 2u + params.step; }`,
);

function own(name: string, run: (gpu: Gpu) => void | Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const gpu = await Gpu.open();
      try {
        await run(gpu);
      } finally {
        gpu.close();
      }
    },
  });
}

gpuTest("dispatches run in order, also beyond one submit", async (gpu) => {
  const y = upload(gpu, "y", [8], undefined, "uint32");
  const pass = new KernelPass(gpu);
  let expected = 0;
  for (let i = 0; i < 2500; i++) {
    const step = i % 7;
    pass.dispatch({ kernel: append, operands: { y }, params: { step }, workgroups: [1] });
    expected = (Math.imul(expected, 2) + step) >>> 0;
  }
  pass.submit();
  assertEquals(new Uint32Array((await gpu.read(y)).buffer)[0], expected);
});

gpuTest("copies and clears keep their place among dispatches", async (gpu) => {
  const y = upload(gpu, "y", [8], [3, 4, 5, 6, 7, 8, 9, 10], "uint32");
  const saved = upload(gpu, "saved", [8], undefined, "uint32");
  const pass = new KernelPass(gpu);
  const step = () =>
    pass.dispatch({ kernel: append, operands: { y }, params: { step: 1 }, workgroups: [1] });
  step(); // 7
  pass.copy(y, saved);
  step(); // 15
  pass.clear(y);
  step(); // 1
  pass.submit();
  assertEquals((await download(gpu, saved))[0], 7);
  assertEquals((await download(gpu, y))[0], 1);
});

own("a read larger than the read-back buffer arrives whole, and ranges of it", async (gpu) => {
  const values = Float32Array.from({ length: 1_500_000 }, (_, i) => i);
  const x = upload(gpu, "x", [values.length], values);
  assertEquals(await download(gpu, x), values);
  const part = new Float32Array((await gpu.read(x, 4 * 1_100_000, 8)).buffer);
  assertEquals([...part], [1_100_000, 1_100_001]);
});

own("every byte is accounted for, and given back once", async (gpu) => {
  const scope = new Scope(gpu);
  const kept = gpu.tensor({ name: "kept", shape: [10], dtype: "float32", purpose: "weights" });
  scope.tensor({ name: "w", shape: [64], dtype: "int8", purpose: "weights", groupSize: 64 });
  scope.texture({ name: "s", width: 4, height: 4, purpose: "workspace" });
  await gpu.check();
  assertEquals(gpu.account.live, 64 + 64 + 8 + 256);
  scope.release();
  assertEquals([gpu.account.live, gpu.account.peak], [64, 64 + 64 + 8 + 256]);
  gpu.release(kept);
  assertEquals(gpu.account.live, 0);
  assertThrows(() => gpu.release(kept), GpuError, "kept was already released");
});

own("what was released is refused when it is used, and the device works on", async (gpu) => {
  const [x, y] = ["x", "y"].map((name) => upload(gpu, name, [4], new Float32Array(4)));
  gpu.release(x);
  const use = `the memory of x was released`;
  await assertRejects(() => gpu.read(x), GpuError, `read: ${use}`);
  assertThrows(() => gpu.write(x, new Float32Array(4)), GpuError, `write: ${use}`);
  assertEquals([...await download(gpu, y)], [0, 0, 0, 0]);
});

own("a watch counts what is allocated beyond what was there, and its own peak", (gpu) => {
  const tensor = (name: string, size: number) =>
    gpu.tensor({ name, shape: [size], dtype: "float32", purpose: "weights" });
  const scope = new Scope(gpu);
  scope.tensor({ name: "first", shape: [64], dtype: "float32", purpose: "weights" });
  const kept = tensor("kept", 8);
  scope.release();
  using watch = gpu.account.watch();
  assertEquals([watch.live, watch.peak], [0, 0]);
  const x = tensor("x", 16), y = tensor("y", 8);
  gpu.release(y);
  assertEquals([watch.live, watch.peak], [64, 96]);
  gpu.release(x);
  assertEquals([watch.live, watch.peak, gpu.account.live], [0, 96, 32]);
  gpu.release(kept);
});

own("reads at the same time come one after the other", async (gpu) => {
  const tensors = [1, 2, 3].map((value) => upload(gpu, `x${value}`, [8], Array(8).fill(value)));
  const read = await Promise.all(tensors.map((x) => download(gpu, x)));
  assertEquals(read.map((values) => [...values]), [1, 2, 3].map((value) => Array(8).fill(value)));
  // What is submitted after a read was asked for is not seen by it, if no other read is under way.
  const pass = new KernelPass(gpu), early = download(gpu, tensors[0]);
  pass.clear(tensors[0]);
  pass.submit();
  assertEquals((await early)[0], 1);
});

own("tensors read together arrive each as it is, also beside other reads", async (gpu) => {
  const tensors = [1, 2, 3].map((value) =>
    upload(gpu, `x${value}`, [8 * value], Array(8 * value).fill(value))
  );
  const [together, alone] = await Promise.all([gpu.readTogether(tensors), gpu.read(tensors[1])]);
  assertEquals(
    together.map((bytes) => [...new Float32Array(bytes.slice().buffer)]),
    [1, 2, 3].map((value) => Array(8 * value).fill(value)),
  );
  assertEquals(together[1], alone);
  const large = upload(gpu, "large", [1 << 20], new Float32Array(1 << 20));
  await assertRejects(() => gpu.readTogether([large, tensors[0]]), GpuError, "must be at most");
});

own("a device that was closed says so", async (gpu) => {
  const x = upload(gpu, "x", [8]);
  gpu.close();
  await assertRejects(() => gpu.read(x), GpuError, "GPU: used after it was closed");
});

own("a shader that does not compile is an error that names the kernel", async (gpu) => {
  const kernel = defineKernel(
    "broken",
    "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }",
  );
  const pass = new KernelPass(gpu);
  pass.dispatch({ kernel, operands: {}, workgroups: [1] });
  await assertRejects(() => gpu.check(), GpuError, "kernel broken");
});

own("pipelines belong to kernels, not to their names", async (gpu) => {
  const write = (value: number) =>
    defineKernel(
      "write",
      `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
      @compute @workgroup_size(1) fn main() { y[${value}] = ${value}u; }`,
    );
  const y = upload(gpu, "y", [8], undefined, "uint32"), pass = new KernelPass(gpu);
  for (const kernel of [write(3), write(5)]) {
    pass.dispatch({ kernel, operands: { y }, workgroups: [1] });
  }
  pass.submit();
  assertEquals([...await download(gpu, y)], [0, 0, 0, 3, 0, 5, 0, 0]);
});

own("a kernel that needs what the adapter does not grant is refused", (gpu) => {
  const source = "enable f16;\n@compute @workgroup_size(1) fn main() { _ = 1.0h; }";
  const kernel = defineKernel("halves", source);
  const without = { ...gpu.capabilities, features: [] };
  const pipelines = new PipelineCache({
    device: gpu.device,
    capabilities: without,
    validated: (_, make) => make(),
  });
  assertThrows(
    () => pipelines.get(kernel, {}),
    GpuError,
    "kernel halves: needs shader-f16, which this adapter does not grant",
  );
});

own("operands and workgroups that do not fit are refused by name", async (gpu) => {
  const pass = new KernelPass(gpu);
  const dispatch = (operands: Record<string, ReturnType<typeof upload>>, count: number) => () =>
    pass.dispatch({ kernel: append, operands, params: { step: 1 }, workgroups: [count] });
  const y = upload(gpu, "y", [8], undefined, "uint32");
  assertThrows(dispatch({}, 1), GpuError, "kernel append: operand y is missing");
  assertThrows(dispatch({ y }, 70_000), GpuError, "workgroups must be 1 to 65535");
  assertThrows(dispatch({ y }, 0), GpuError, "got 0, 1, 1");
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  const large = { ...y, name: "large", byteLength: maxStorageBufferBindingSize + 4 };
  assertThrows(
    dispatch({ y: large }, 1),
    GpuError,
    `this adapter allows ${maxStorageBufferBindingSize}`,
  );
  const shape = [Math.ceil((maxBufferSize + 32) / 32) * 8];
  assertThrows(
    () => gpu.tensor({ name: "huge", shape, dtype: "float32", purpose: "weights" }),
    OutOfMemoryError,
    "tensor huge",
  );
  assertThrows(() => gpu.write(y, new Uint32Array(9)), GpuError, "36 bytes at 0 overrun y of 32");
  await gpu.check();
});

for (const first of ["read", "settled"] as const) {
  own(`a lost device is named by the first that fails: ${first}`, async (gpu) => {
    const y = upload(gpu, "y", [8], undefined, "uint32");
    const reading = gpu.read(y);
    gpu.device.destroy();
    await reading.catch(() => {});
    await assertRejects(
      async () => void await (first === "read" ? gpu.read(y) : gpu.settled()),
      DeviceLostError,
      "the device was lost",
    );
    await assertRejects(() => gpu.check(), DeviceLostError);
  });
}

gpuTest("a profiler names every dispatch and gives it a time", async (gpu) => {
  const profiler = Profiler.create(gpu);
  if (!profiler) return; // an adapter without timestamps has nothing to test
  const y = upload(gpu, "y", [8], undefined, "uint32");
  const pass = new KernelPass(gpu, profiler);
  for (let i = 0; i < 3; i++) {
    pass.dispatch({ kernel: append, operands: { y }, params: { step: 1 }, workgroups: [1] });
  }
  pass.submit();
  const spans = await profiler.take();
  assertEquals(spans.map(({ name }) => name), ["append", "append", "append"]);
  assert(spans.every(({ milliseconds }) => milliseconds >= 0 && milliseconds < 10_000));
  assertEquals((await download(gpu, y))[0], 7);
  assertEquals(await profiler.take(), []);
});
