import { attention } from "../../src/kernels/attention.ts";
import { attentionBackward } from "../../src/kernels/attention_backward.ts";
import type { Bench, BenchCase, Sizes } from "../case.ts";

export function attentionCases({ B, T, H, D }: Sizes): BenchCase[] {
  const shape = `B=${B} T=${T} H=${H} D=${D} bfloat16`;
  // The causal half of two T x T x D products for every head; the backward pass makes five of them.
  const product = B * H * T * T * D;
  const operands = (bench: Bench, names: readonly string[]) =>
    names.map((name) => bench.tensor(name, [B * T, H * D], "bfloat16"));
  return [
    {
      name: "attention",
      shape,
      prepare(bench) {
        const [q, k, v, out] = operands(bench, ["q", "k", "v", "out"]);
        const logsumexp = bench.tensor("logsumexp", [B * T, H]);
        const io = { q, k, v, out, logsumexp, batch: B, queryLength: T, keyLength: T };
        return {
          record: (pass) =>
            attention(pass, { ...io, keyCapacity: T, heads: H, keyValueHeads: H, headSize: D }),
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
        const delta = bench.tensor("delta", [B * T, H]);
        const io = { q, k, v, out, dout, logsumexp, dq, dk, dv, delta, batch: B, length: T };
        return {
          record: (pass) =>
            attentionBackward(pass, { ...io, heads: H, keyValueHeads: H, headSize: D }),
          flops: 5 * product,
        };
      },
    },
  ];
}
