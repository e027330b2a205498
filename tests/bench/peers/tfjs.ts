/** TensorFlow.js on WebGPU: an operation at a time, as it has no compiler. */
import * as tf from "../../packages/tfjs.ts";
import type { Contender } from "./contender.ts";
import { EPS, type Operation } from "./operations.ts";

export async function openTfjs(): Promise<Contender> {
  if (!await tf.setBackend("webgpu")) throw new Error("its backend webgpu did not start");
  // By default it computes what is small on the processor.
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  const backend = tf.backend();
  return {
    name: "tfjs-webgpu",
    device: backend.device,
    prepare(operation, operands) {
      const tensors = operands.map(({ values, shape }) => tf.tensor(values, shape));
      const mask = operation.kind === "attention" ? [causalMask(operation.T)] : [];
      const call = () => tf.tidy(() => computed(operation, [...tensors, ...mask]));
      return {
        run(count) {
          for (let i = 0; i < count; i++) call().dispose();
          backend.ensureCommandEncoderReady(); // none is left where a batch has just been full
          backend.endComputePassEncoder();
          backend.submitQueue();
        },
        async result() {
          const out = call(), values = await out.data();
          out.dispose();
          return values;
        },
        release: () => [...tensors, ...mask].forEach((tensor) => tensor.dispose()),
      };
    },
  };
}

function computed(operation: Operation, operands: readonly tf.Tensor[]): tf.Tensor {
  switch (operation.kind) {
    case "matmul": {
      const [a, b] = operands, { layout } = operation;
      return tf.matMul(a, b, layout === "TN", layout === "NT");
    }
    case "rms_norm": {
      const [x, weight] = operands;
      const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), EPS));
      return tf.mul(tf.mul(x, rstd), weight);
    }
    case "attention": {
      const { B, T, H, D } = operation;
      const mask = operands[3];
      const [q, k, v] = operands.slice(0, 3).map((it) =>
        tf.transpose(tf.reshape(it, [B, T, H, D]), [0, 2, 1, 3])
      );
      const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), D ** -0.5), mask);
      const out = tf.matMul(tf.softmax(scores), v);
      return tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [B * T, H * D]);
    }
  }
}

/** (T, T): 0 where a query sees a key. */
function causalMask(T: number): tf.Tensor {
  const values = Float32Array.from(
    { length: T * T },
    (_, i) => i % T > Math.floor(i / T) ? -1e9 : 0,
  );
  return tf.tensor(values, [T, T]);
}
