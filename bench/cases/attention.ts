import { attention, createAttentionWorkspace } from "../../src/kernels/attention/attention.ts";
import { attentionBackward } from "../../src/kernels/attention/attention_backward.ts";
import { strategyFor } from "../../src/kernels/strategy.ts";
import type { Bench, BenchCase, Sizes } from "../case.ts";

/** Causal attention over B sequences, and sliding-window attention over one four times as long. */
export function attentionCases({ B, T, H, D }: Sizes): BenchCase[] {
  return [...casesOf(B, T, H, D), ...casesOf(1, 4 * T, H, D, T / 4)];
}

function casesOf(B: number, T: number, H: number, D: number, window = T): BenchCase[] {
  const name = window < T ? "attention_window" : "attention";
  const seen = window < T ? ` window=${window}` : "";
  const shape = `B=${B} T=${T} H=${H} D=${D}${seen} bfloat16`;
  // Per head, query and visible key: two dot products of length D forward, five backward.
  const pairs = window < T ? T * window - window * window / 2 : T * T / 2;
  const product = 2 * B * H * pairs * D;
  const operands = (bench: Bench, names: readonly string[]) =>
    names.map((name) => bench.tensor(name, [B * T, H * D], "bfloat16"));
  const heads = { heads: H, keyValueHeads: H, headSize: D };
  const workspaceOf = (bench: Bench, backward: boolean) =>
    createAttentionWorkspace(bench.allocator, {
      variant: strategyFor(bench.gpu.capabilities).attention,
      batch: B,
      length: T,
      backward,
      dtype: "bfloat16",
      ...heads,
    });
  const firstKeysOf = (bench: Bench) => {
    const firstKeys = bench.integers("first_keys", B * T, 1);
    const first = (_: unknown, n: number) => Math.max(0, n % T - window + 1);
    bench.gpu.write(firstKeys, Uint32Array.from({ length: B * T }, first));
    return firstKeys;
  };
  return [
    {
      name,
      shape,
      prepare(bench) {
        const [q, k, v, out] = operands(bench, ["q", "k", "v", "out"]);
        const logsumexp = bench.tensor("logsumexp", [B * T, H]);
        const workspace = workspaceOf(bench, false), firstKeys = firstKeysOf(bench);
        const lengths = { queryLength: T, keyLength: T, keyCapacity: T };
        const io = {
          q,
          k,
          v,
          out,
          logsumexp,
          firstKeys,
          batch: B,
          workspace,
          ...lengths,
          ...heads,
        };
        return {
          record: (pass) => attention(pass, io),
          flops: 2 * product,
        };
      },
    },
    {
      name: `${name}_backward`,
      shape,
      prepare(bench) {
        const [q, k, v, out, dout, dq, dk, dv] = operands(
          bench,
          ["q", "k", "v", "out", "dout", "dq", "dk", "dv"],
        );
        const logsumexp = bench.tensor("logsumexp", [B * T, H]);
        const delta = bench.tensor("delta", [B * T, 2 * H]);
        const workspace = workspaceOf(bench, true), firstKeys = firstKeysOf(bench);
        const gradients = { dout, dq, dk, dv, delta };
        const saved = { q, k, v, out, logsumexp, firstKeys };
        const io = { ...saved, ...gradients, batch: B, length: T, workspace, ...heads };
        return {
          record: (pass) => attentionBackward(pass, io),
          flops: 5 * product,
        };
      },
    },
  ];
}
