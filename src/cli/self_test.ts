/** Runs one kernel on the adapter and the same computation on the CPU, and compares. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { packTensor, unpackTensor } from "../numbers/plain.ts";
import { rmsNorm } from "../kernels/norm/rms_norm.ts";
import type { SelfTest } from "./diagnosis.ts";

const N = 4, C = 257;

/** RMSNorm of a ramp, at a width that needs padding. */
export async function selfTest(gpu: Gpu): Promise<SelfTest> {
  const tensor = (name: string, shape: number[]) =>
    gpu.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const x = tensor("x", [N, C]), y = tensor("y", [N, C]);
  const weight = tensor("weight", [C]), rstd = tensor("rstd", [N]);
  const values = Float32Array.from({ length: N * C }, (_, index) => (index % 31) / 31 - 0.5);
  gpu.write(x, packTensor(x, values));
  gpu.write(weight, packTensor(weight, new Float32Array(C).fill(1)));
  const pass = new KernelPass(gpu);
  rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 });
  pass.submit();
  const actual = unpackTensor(y, await gpu.read(y));
  let worst = 0;
  for (let row = 0; row < N; row++) {
    const line = values.subarray(row * C, (row + 1) * C);
    const meanSquare = line.reduce((sum, value) => sum + value * value, 0) / C;
    for (let column = 0; column < C; column++) {
      const expected = line[column] / Math.sqrt(meanSquare + 1e-6);
      worst = Math.max(worst, Math.abs(actual[row * C + column] - expected));
    }
  }
  // A few hundred float32 additions; a faulty device is off by far more.
  const ok = worst < 1e-5;
  return {
    ok,
    message: `RMSNorm ${ok ? "agrees with" : "differs from"} the CPU's (by at most ${
      worst.toExponential(1)
    })`,
  };
}
