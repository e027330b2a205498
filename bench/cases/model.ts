/** The other operations of a layer besides matrix products, the embedding and the loss. */
import { embedding } from "../../src/kernels/misc/embedding.ts";
import { embeddingBackward, sortTokens } from "../../src/kernels/misc/embedding_backward.ts";
import { crossEntropy } from "../../src/kernels/misc/cross_entropy.ts";
import { rmsNorm } from "../../src/kernels/norm/rms_norm.ts";
import { rmsNormBackward } from "../../src/kernels/norm/rms_norm_backward.ts";
import { rope } from "../../src/kernels/misc/rope.ts";
import { sumRows } from "../../src/kernels/misc/sum_rows.ts";
import { glu } from "../../src/kernels/misc/glu.ts";
import { gluBackward } from "../../src/kernels/misc/glu_backward.ts";
import { type BenchCase, bytesIn, type Sizes } from "../case.ts";

/** Rows whose partial sums one workgroup adds up in rms_norm_backward. */
const PARTIAL_SUMS = 64;

export function modelCases({ B, T, C, H, D, F, V }: Sizes): BenchCase[] {
  const N = B * T, dtype = "bfloat16";
  return [
    {
      name: "rms_norm",
      shape: `N=${N} C=${C} ${dtype}`,
      prepare(bench) {
        const x = bench.tensor("x", [N, C], dtype), y = bench.tensor("y", [N, C], dtype);
        const weight = bench.tensor("weight", [C]), rstd = bench.tensor("rstd", [N]);
        return {
          record: (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }),
          bytes: bytesIn(x, y),
        };
      },
    },
    {
      name: "rms_norm_backward",
      shape: `N=${N} C=${C} ${dtype}`,
      prepare(bench) {
        const [dy, x, dx] = ["dy", "x", "dx"].map((name) => bench.tensor(name, [N, C], dtype));
        const weight = bench.tensor("weight", [C]), rstd = bench.tensor("rstd", [N]);
        const partial = bench.tensor("partial", [PARTIAL_SUMS, C]);
        const out = bench.tensor("dweight", [C]);
        return {
          record: (pass) => {
            rmsNormBackward(pass, { dy, x, weight, rstd, dx, partial, accumulate: true });
            sumRows(pass, { x: partial, out });
          },
          bytes: bytesIn(dy, x, dx, dx),
        };
      },
    },
    {
      name: "glu",
      shape: `N=${N} F=${F} ${dtype}`,
      prepare(bench) {
        const [gate, up, h] = ["gate", "up", "h"].map((name) => bench.tensor(name, [N, F], dtype));
        return {
          record: (pass) => glu(pass, { activation: "silu", gate, up, h }),
          bytes: bytesIn(gate, up, h),
        };
      },
    },
    {
      name: "glu_backward",
      shape: `N=${N} F=${F} ${dtype}`,
      prepare(bench) {
        const [gate, up, dh] = ["gate", "up", "dh"].map((name) =>
          bench.tensor(name, [N, F], dtype)
        );
        return {
          record: (pass) => gluBackward(pass, { activation: "silu", gate, up, dh }),
          bytes: 2 * bytesIn(gate, up, dh),
        };
      },
    },
    {
      name: "rope",
      shape: `B=${B} T=${T} H=${H} D=${D} ${dtype}`,
      prepare(bench) {
        const x = bench.tensor("x", [N, H * D], dtype), table = bench.tensor("table", [T, D]);
        return {
          record: (pass) => rope(pass, { x, table, headSize: D, length: T }),
          bytes: 2 * bytesIn(x),
        };
      },
    },
    {
      name: "embedding",
      shape: `N=${N} V=${V} C=${C} ${dtype}`,
      prepare(bench) {
        const tokens = bench.integers("tokens", N, V);
        const weight = bench.tensor("weight", [V, C], dtype);
        const out = bench.tensor("out", [N, C], dtype);
        return {
          record: (pass) => embedding(pass, { tokens, weight, out }),
          bytes: 2 * bytesIn(out),
        };
      },
    },
    {
      name: "embedding_backward",
      shape: `N=${N} V=${V} C=${C} ${dtype}`,
      prepare(bench) {
        const sorted = sortTokens(Uint32Array.from({ length: N }, (_, i) => (i * 7919) % V));
        const order = bench.tensor("order", [N], "uint32");
        const sortedTokens = bench.tensor("sorted", [N], "uint32");
        bench.gpu.write(order, sorted.order);
        bench.gpu.write(sortedTokens, sorted.sortedTokens);
        const dx = bench.tensor("dx", [N, C], dtype), dweight = bench.tensor("dweight", [V, C]);
        return {
          record: (pass) => embeddingBackward(pass, { dx, order, sortedTokens, dweight }),
          bytes: bytesIn(dx) + 2 * 4 * N * C,
        };
      },
    },
    {
      name: "cross_entropy",
      shape: `N=128 V=${V} float32`,
      prepare(bench) {
        const logits = bench.tensor("logits", [128, V]), losses = bench.tensor("losses", [128]);
        const labels = bench.integers("labels", 128, V);
        const logsumexp = bench.tensor("logsumexp", [128]);
        const io = { logits, labels, losses, logsumexp, gradScale: 1, gradients: true };
        return {
          record: (pass) => crossEntropy(pass, io),
          bytes: 2 * bytesIn(logits),
        };
      },
    },
  ];
}
