/** This project's kernels, as a training step calls them, but on float32. */
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { Scope } from "../../../src/gpu/scope.ts";
import type { Tensor } from "../../../src/gpu/tensor.ts";
import { attention, createAttentionWorkspace } from "../../../src/kernels/attention/attention.ts";
import { createMatmulWorkspace, matmul } from "../../../src/kernels/matmul/matmul.ts";
import { rmsNorm } from "../../../src/kernels/norm/rms_norm.ts";
import { strategyFor } from "../../../src/kernels/strategy.ts";
import type { Recorded } from "../../../bench/timing.ts";
import { download } from "../../support.ts";
import type { Contender } from "./contender.ts";
import { EPS, type Operation } from "./operations.ts";

export function ours(gpu: Gpu): Contender {
  return {
    name: "ours",
    device: gpu.device,
    prepare(operation, operands) {
      const scope = new Scope(gpu);
      const tensors = operands.map(({ shape, values }, i) => {
        const tensor = tensorOf(scope, `operand ${i}`, shape);
        gpu.write(tensor, values);
        return tensor;
      });
      const { record, out } = recorded(gpu, scope, operation, tensors);
      const run = (count: number) => {
        const pass = new KernelPass(gpu);
        for (let i = 0; i < count; i++) record(pass);
        pass.submit();
      };
      const result = () => {
        run(1);
        return download(gpu, out);
      };
      return { run, result, release: () => scope.release() };
    },
  };
}

const tensorOf = (scope: Scope, name: string, shape: readonly number[]) =>
  scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });

function recorded(
  gpu: Gpu,
  scope: Scope,
  operation: Operation,
  operands: readonly Tensor[],
): { record: Recorded; out: Tensor } {
  const strategy = strategyFor(gpu.capabilities);
  switch (operation.kind) {
    case "matmul": {
      const { layout, m, n } = operation, [a, b] = operands;
      const { limits } = gpu, { matmul: variant } = strategy;
      const workspace = createMatmulWorkspace(scope, { variant, limits, shapes: [operation] });
      const out = tensorOf(scope, "c", [m, n]);
      return { record: (pass) => matmul(pass, workspace, { layout, a, b, c: out }), out };
    }
    case "rms_norm": {
      const [x, weight] = operands;
      const y = tensorOf(scope, "y", x.shape), rstd = tensorOf(scope, "rstd", [operation.rows]);
      return { record: (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: EPS }), out: y };
    }
    case "attention": {
      const { B: batch, T, H, D: headSize } = operation, [q, k, v] = operands;
      const heads = { heads: H, keyValueHeads: H, headSize };
      const lengths = { queryLength: T, keyLength: T, keyCapacity: T };
      const { attention: variant } = strategy;
      const shape = { variant, batch, length: T, backward: false, ...heads };
      const workspace = createAttentionWorkspace(scope, { ...shape, dtype: "float32" });
      const out = tensorOf(scope, "out", q.shape);
      const logsumexp = tensorOf(scope, "logsumexp", [batch * T, H]);
      const io = { q, k, v, out, logsumexp, workspace, batch, ...lengths, ...heads };
      return { record: (pass) => attention(pass, io), out };
    }
  }
}
