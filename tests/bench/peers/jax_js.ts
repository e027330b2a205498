/** jax-js on WebGPU: every operation compiled by its `jit`. */
import * as jax from "../../packages/jax_js.ts";
import type { Contender } from "./contender.ts";
import { EPS, type Operation } from "./operations.ts";

const { nn, numpy: np } = jax;

export async function openJaxJs(): Promise<Contender> {
  if (!(await jax.init("webgpu")).includes("webgpu")) {
    throw new Error("its backend webgpu did not start");
  }
  jax.defaultDevice("webgpu");
  return {
    name: "jax-js",
    device: jax.getWebGPUDevice(),
    prepare(operation, operands) {
      const arrays = operands.map(({ values, shape }) => np.array(values, { shape }));
      const compiled = jax.jit(functionOf(operation));
      // A call takes over its operands: `ref` keeps them for the next.
      const call = () => compiled(...arrays.map((array) => array.ref));
      return {
        run(count) {
          // It computes nothing before somebody asks: for the buffer, here, which goes at once.
          for (let i = 0; i < count; i++) call().gpuBufferSync();
        },
        result: async () => Float32Array.from(await call().data()),
        release() {
          compiled.dispose();
          arrays.forEach((array) => array.dispose());
        },
      };
    },
  };
}

function functionOf(operation: Operation): (...operands: jax.Array[]) => jax.Array {
  switch (operation.kind) {
    case "matmul": {
      const { layout } = operation;
      return (a, b) =>
        np.matmul(
          layout === "TN" ? np.transpose(a) : a,
          layout === "NT" ? np.transpose(b) : b,
        );
    }
    case "rms_norm":
      return (x, weight) => {
        const mean = np.mean(np.square(x.ref), -1, { keepdims: true });
        return x.div(np.sqrt(mean.add(EPS))).mul(weight);
      };
    case "attention": {
      const { B, T, H, D } = operation;
      return (...operands) => {
        const [q, k, v] = operands.map((it) => it.reshape([B, T, H, D]));
        return nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([B * T, H * D]);
      };
    }
  }
}
