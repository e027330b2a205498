import { attention, createAttentionWorkspace } from "../../src/kernels/attention.ts";
import { attentionBackward } from "../../src/kernels/attention_backward.ts";
import { matmulVariant } from "../../src/kernels/matmul.ts";
import type { Bench, BenchCase, Sizes } from "../case.ts";

export function attentionCases({ B, T, H, D }: Sizes): BenchCase[] {
  const shape = `B=${B} T=${T} H=${H} D=${D} bfloat16`;
  // The causal half of two T x T x D products for every head; the backward pass makes five of them.
  const product = B * H * T * T * D;
  const operands = (bench: Bench, names: readonly string[]) =>
    names.map((name) => bench.tensor(name, [B * T, H * D], "bfloat16"));
  const heads = { heads: H, keyValueHeads: H, headSize: D };
  const workspaceOf = (bench: Bench, backward: boolean) =>
    createAttentionWorkspace(bench.allocator, {
      variant: matmulVariant(bench.gpu.adapter),
      batch: B,
      length: T,
      backward,
      ...heads,
    });
  return [
    {
      name: "attention",
      shape,
      prepare(bench) {
        const [q, k, v, out] = operands(bench, ["q", "k", "v", "out"]);
        const logsumexp = bench.tensor("logsumexp", [B * T, H]);
        const workspace = workspaceOf(bench, false);
        const lengths = { queryLength: T, keyLength: T, keyCapacity: T };
        const io = { q, k, v, out, logsumexp, batch: B, workspace, ...lengths, ...heads };
        return {
          record: (pass) => attention(pass, io),
          flops: 2 * product,
        };
      },
    },
    {
      name: "attention_backward",
      shape,
      prepare(bench) {
        const [q, k, v, out, dout, dq, dk, dv] = operands(
          bench,
          ["q", "k", "v", "out", "dout", "dq", "dk", "dv"],
        );
        const logsumexp = bench.tensor("logsumexp", [B * T, H]);
        const delta = bench.tensor("delta", [B * T, 2 * H]);
        const workspace = workspaceOf(bench, true);
        const gradients = { dout, dq, dk, dv, delta };
        const saved = { q, k, v, out, logsumexp };
        const io = { ...saved, ...gradients, batch: B, length: T, workspace, ...heads };
        return {
          record: (pass) => attentionBackward(pass, io),
          flops: 5 * product,
        };
      },
    },
  ];
}
