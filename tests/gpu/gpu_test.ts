import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceLostError, GpuError, OutOfMemoryError } from "../../src/gpu/errors.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { Profiler } from "../../src/gpu/profiler.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
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

gpuTest(
  "work that is put off keeps its place, and is recorded when its turn comes",
  async (gpu) => {
    const y = upload(gpu, "y", [8], undefined, "uint32"), pass = new KernelPass(gpu);
    const digit = (step: number) =>
      pass.dispatch({ kernel: append, operands: { y }, params: { step }, workgroups: [1] });
    let recorded = 0;
    const record = () => {
      digit(1);
      pass.later(() => {
        recorded++;
        for (let index = 0; index < 20; index++) digit(index % 2);
      });
      digit(1);
      pass.submit();
    };
    // In binary: 1, ten times 01, 1.
    const expected = parseInt(`1${"01".repeat(10)}1`, 2);
    const result = async () => (await download(gpu, y))[0];
    record();
    assertEquals([await result(), recorded], [expected, 1]);
    pass.clear(y);
    pass.submit();
    const held = gpu.hold(record);
    assertEquals([recorded, held.length], [1, 3]);
    // The twenty in pieces of sixteen.
    const pieces = [...gpu.inTurn(held)];
    assertEquals([recorded, pieces.length], [2, 4]);
    assertEquals(await result(), 0);
    for (const { give } of pieces) gpu.enqueue(give);
    assertEquals(await result(), expected);
  },
);

gpuTest("a pass is submitted where it was recorded: held work keeps its order", (gpu) => {
  const y = upload(gpu, "y", [8], undefined, "uint32");
  const begun = () => {
    const pass = new KernelPass(gpu);
    pass.dispatch({ kernel: append, operands: { y }, params: { step: 1 }, workgroups: [1] });
    return pass;
  };
  const refused = (submit: () => void) =>
    assertThrows(submit, GpuError, "held work began or ended");
  const before = begun();
  refused(() => gpu.hold(() => before.submit()));
  before.submit();
  let within: KernelPass;
  assertEquals(gpu.hold(() => within = begun()), []);
  refused(() => within.submit());
  // What is put off is recorded in a recording of its own.
  const held = gpu.hold(() => (within = begun()).later(() => {}));
  within!.clear(y);
  refused(() => [...gpu.inTurn(held)]);
});

gpuTest("a profiler times held work as well, what is encoded late included", async (gpu) => {
  using profiler = Profiler.create(gpu);
  if (!profiler) return;
  const y = upload(gpu, "y", [8], undefined, "uint32"), pass = new KernelPass(gpu, profiler);
  const record = () => {
    for (let step = 0; step < 40; step++) {
      pass.dispatch({ kernel: append, operands: { y }, params: { step }, workgroups: [1] });
    }
    pass.submit();
  };
  for (const { give } of gpu.hold(record, 1)) gpu.enqueue(give);
  const spans = await profiler.take();
  assertEquals([spans.length, spans.every(({ start }) => start > 0)], [40, true]);
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
  assertEquals(gpu.account.live, 64 + 64 + 4 + 256);
  scope.release();
  assertEquals([gpu.account.live, gpu.account.peak], [64, 64 + 64 + 4 + 256]);
  gpu.release(kept);
  assertEquals(gpu.account.live, 0);
  assertThrows(() => gpu.release(kept), GpuError, "kept was already released");
  // What holds tensors is none, and would stay unnoticed.
  const record = { kept } as unknown as Tensor;
  assertThrows(() => gpu.release(record), GpuError, "release: expected a tensor or a texture");
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

own("reads at the same time do not mix", async (gpu) => {
  const tensors = [1, 2, 3].map((value) => upload(gpu, `x${value}`, [8], Array(8).fill(value)));
  const read = await Promise.all(tensors.map((x) => download(gpu, x)));
  assertEquals(read.map((values) => [...values]), [1, 2, 3].map((value) => Array(8).fill(value)));
  // What is submitted after a read was asked for is not seen by it, also while others are under way.
  const pass = new KernelPass(gpu), early = [];
  for (const tensor of tensors) {
    early.push(download(gpu, tensor));
    pass.clear(tensor);
    pass.submit();
  }
  assertEquals((await Promise.all(early)).map(([first]) => first), [1, 2, 3]);
});

/** Counts what the device is asked to do, and what is held of its buffers at most. */
function counting(gpu: Gpu) {
  const counted = { submits: 0, staging: 0 };
  const { device } = gpu, { queue } = device;
  const submit = queue.submit.bind(queue), createBuffer = device.createBuffer.bind(device);
  queue.submit = (commands) => {
    counted.submits++;
    submit(commands);
  };
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor), destroy = buffer.destroy.bind(buffer);
    counted.staging += buffer.size;
    buffer.destroy = () => {
      counted.staging -= buffer.size;
      destroy();
    };
    return buffer;
  };
  return counted;
}

own("tensors read together arrive each as it is, by one submit and one map", async (gpu) => {
  const tensors = Array.from(
    { length: 40 },
    (_, index) => upload(gpu, `x${index}`, [8 * (index + 1)], Array(8 * (index + 1)).fill(index)),
  );
  const counted = counting(gpu);
  const [together, alone] = await Promise.all([
    Promise.all(tensors.map((x) => gpu.read(x))),
    gpu.read(tensors[1]),
  ]);
  assertEquals(
    together.map((bytes) => [...new Set(new Float32Array(bytes.buffer))]),
    tensors.map((_, index) => [index]),
  );
  assertEquals(together[1], alone);
  assertEquals(counted, { submits: 1, staging: 0 });
});

own("what several large reads pass through is at most 16 MiB, and given back", async (gpu) => {
  const words = 5 << 20, values = new Uint32Array(words);
  for (let i = 0; i < words; i++) values[i] = i;
  const tensors = [0, 1, 2, 3, 4].map((index) => {
    const name = `large${index}`, shape = [words];
    const tensor = gpu.tensor({ name, shape, dtype: "uint32", purpose: "weights" });
    values[0] = index;
    gpu.write(tensor, values);
    return tensor;
  });
  const counted = counting(gpu), read = Promise.all(tensors.map((x) => gpu.read(x)));
  await Promise.resolve();
  // Beside the 4 MiB that every device has.
  assertEquals(counted.staging, 12 << 20);
  for (const [index, bytes] of (await read).entries()) {
    const array = new Uint32Array(bytes.buffer);
    let wrong = 0;
    for (let i = 1; i < words; i++) wrong += array[i] === i ? 0 : 1;
    assertEquals([array.length, array[0], wrong], [words, index, 0]);
  }
  // One is kept: the first, or one of these.
  assert(counted.staging <= 4 << 20, `${counted.staging} bytes`);
});

own(
  "reads of as many bytes as were asked for pass at once, however they are divided",
  async (gpu) => {
    const words = 3 << 18,
      tensors = Array.from({ length: 8 }, (_, index) => {
        const values = Uint32Array.from({ length: words }, (_, i) => 8 * i + index);
        return upload(gpu, `x${index}`, [words], values, "uint32");
      });
    gpu.readAtOnce(24 << 20);
    const counted = counting(gpu), read = Promise.all(tensors.map((x) => gpu.read(x)));
    await Promise.resolve();
    assertEquals(counted, { submits: 1, staging: 20 << 20 });
    for (const [index, bytes] of (await read).entries()) {
      assert(new Uint32Array(bytes.buffer).every((value, i) => value === 8 * i + index));
    }
    assertEquals(counted.submits, 1);
  },
);

own("a read of many that fails leaves the others whole", async (gpu) => {
  const [x, y] = [1, 2].map((value) => upload(gpu, `x${value}`, [8], Array(8).fill(value)));
  const reads = [gpu.read(x), gpu.read(y)];
  gpu.release(x);
  await assertRejects(() => reads[0], GpuError, "read: the memory of x1 was released");
  assertEquals(new Float32Array((await reads[1]).buffer)[0], 2);
});

own("a device that is lost while it is read fails every read", async (gpu) => {
  const x = upload(gpu, "x", [12 << 20], undefined, "uint32");
  const reads = [gpu.read(x), gpu.read(x), gpu.read(x)];
  gpu.device.destroy();
  const ends = await Promise.allSettled(reads);
  assertEquals(ends.map(({ status }) => status), Array(3).fill("rejected"));
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
  assertThrows(dispatch({ y, z: y }, 1), GpuError, "kernel append: unknown operand z");
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
