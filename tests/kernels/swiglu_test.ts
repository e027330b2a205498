import { assertThrows } from "@std/assert";
import { ShapeError } from "../../src/gpu/errors.ts";
import { KernelPass } from "../../src/gpu/pass.ts";
import { packTensor, unpackTensor } from "../../src/kernels/convert.ts";
import { swiglu } from "../../src/kernels/swiglu.ts";
import { swiglu as oracle } from "../oracles/swiglu.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../support.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [33, 64], [5, 5461]]) {
  gpuTest(`swiglu (${rows}, ${columns}) agrees with the oracle`, async (gpu) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const gates = rounded(randomNormal(rows * columns, 1, 3), dtype);
      const ups = rounded(randomNormal(rows * columns, 2), dtype);
      const gate = upload(gpu, "gate", [rows, columns], gates, dtype);
      const up = upload(gpu, "up", [rows, columns], ups, dtype);
      const h = upload(gpu, "h", [rows, columns], undefined, dtype);
      runPass(gpu, (pass) => swiglu(pass, { gate, up, h }));
      // float32: exp is allowed some ulps, more for large arguments; the rest is four roundings.
      const rtol = 2e-6 + OUTPUT_ROUNDING[dtype];
      assertClose("h", await download(gpu, h), oracle(gates, ups), { atol: 1e-7, rtol });
    }
  });
}

gpuTest("swiglu stays finite where exp would overflow", async (gpu) => {
  const gates = [-1e4, -200, -89, -80, 0, 80, 200, 1e4], ups = gates.map(() => 2);
  const gate = upload(gpu, "gate", [1, 8], gates), up = upload(gpu, "up", [1, 8], ups);
  const h = upload(gpu, "h", [1, 8]);
  runPass(gpu, (pass) => swiglu(pass, { gate, up, h }));
  assertClose("h", await download(gpu, h), oracle(gates, ups), { atol: 1e-30, rtol: 1e-6 });
});

gpuTest("swiglu walks tensors that exceed one dispatch", async (gpu) => {
  const rows = (1 << 20) + 3; // a range is 2^23 elements: the second holds the last three rows
  const [gate, up, h] = ["gate", "up", "h"].map((name) =>
    upload(gpu, name, [rows, 8], undefined, "bfloat16")
  );
  const gates = rounded(randomNormal(32, 1), "bfloat16");
  const ups = rounded(randomNormal(32, 2), "bfloat16");
  // The last row of the first range, and the second range.
  const byteOffset = (rows - 4) * 16;
  const part = { ...gate, shape: [4, 8] };
  gpu.write(gate, packTensor(part, gates), byteOffset);
  gpu.write(up, packTensor(part, ups), byteOffset);
  runPass(gpu, (pass) => swiglu(pass, { gate, up, h }));
  const written = unpackTensor(part, await gpu.read(h, byteOffset));
  assertClose("h", written, oracle(gates, ups), { atol: 0, rtol: 2e-6 + OUTPUT_ROUNDING.bfloat16 });
  for (const tensor of [gate, up, h]) gpu.release(tensor);
});

gpuTest("swiglu refuses operands of other shapes and mixed formats", async (gpu) => {
  await Promise.resolve();
  const gate = upload(gpu, "gate", [4, 16]), h = upload(gpu, "h", [4, 16]);
  const half = upload(gpu, "half", [4, 16], undefined, "bfloat16");
  const wide = upload(gpu, "wide", [4, 24]);
  assertThrows(
    () => swiglu(new KernelPass(gpu), { gate, up: wide, h }),
    ShapeError,
    "swiglu: up must be (4, 16), got (4, 24)",
  );
  assertThrows(
    () => swiglu(new KernelPass(gpu), { gate, up: half, h }),
    ShapeError,
    "swiglu: activations must all be float32 or all bfloat16",
  );
});
