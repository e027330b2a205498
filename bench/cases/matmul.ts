/** The three products of training, in their usual formats, and decoding. */
import {
  createMatmulWorkspace,
  matmul,
  type MatmulLayout,
  type MatmulVariant,
} from "../../src/kernels/matmul/matmul.ts";
import type { MatrixType } from "../../src/kernels/octet.ts";
import { type BenchCase, bytesIn, type Sizes } from "../case.ts";
import { strategyFor } from "../../src/kernels/strategy.ts";

interface Product {
  readonly layout: MatmulLayout;
  readonly size: readonly [m: number, n: number, k: number];
  readonly formats: readonly [a: MatrixType, b: MatrixType, c: "float32" | "bfloat16"];
  readonly variant?: MatmulVariant;
}

function product({ layout, size: [m, n, k], formats, variant }: Product): BenchCase {
  return {
    name: ["matmul", layout, formats[0], formats[1], variant].filter(Boolean).join(" "),
    shape: `M=${m} N=${n} K=${k}`,
    prepare(bench) {
      const workspace = createMatmulWorkspace(bench.allocator, {
        variant: variant ?? strategyFor(bench.gpu.capabilities).matmul,
        limits: bench.gpu.limits,
        shapes: [{ layout, m, n, k }],
      });
      const a = bench.tensor("a", layout === "TN" ? [k, m] : [m, k], formats[0]);
      const b = bench.tensor("b", layout === "NT" ? [n, k] : [k, n], formats[1]);
      const c = bench.tensor("c", [m, n], formats[2]);
      return {
        record: (pass) => matmul(pass, workspace, { layout, a, b, c }),
        // With few rows, reading the weight is the bottleneck.
        ...(m < 8 ? { bytes: bytesIn(a, b, c) } : { flops: 2 * m * n * k }),
      };
    },
  };
}

const FORMATS = {
  NT: [["bfloat16", "int8", "bfloat16"], ["bfloat16", "bfloat16", "bfloat16"]],
  NN: [["bfloat16", "int8", "bfloat16"], ["bfloat16", "bfloat16", "bfloat16"]],
  TN: [["bfloat16", "bfloat16", "float32"], ["float32", "int4", "float32"]],
} as const;
/** Frozen 4-bit weights: NF4, compared with INT4, which is simpler to decode. */
const FROZEN = [["bfloat16", "int4", "bfloat16"], ["bfloat16", "nf4", "bfloat16"]] as const;
const LAYOUTS = ["NT", "NN", "TN"] as const;

export function matmulCases({ B, T, C, F, V }: Sizes): BenchCase[] {
  const size = [512, 1024, 1024] as const;
  return [
    ...LAYOUTS.flatMap((layout) =>
      FORMATS[layout].map((formats) => product({ layout, size, formats }))
    ),
    product({ layout: "NT", size, formats: ["float32", "float32", "float32"] }),
    product({ layout: "NT", size, formats: FORMATS.NT[0], variant: "tiled" }),
    ...FROZEN.flatMap((formats) => [
      product({ layout: "NT", size, formats }),
      product({ layout: "NN", size, formats }),
      product({ layout: "NT", size, formats, variant: "tiled" }),
      product({ layout: "NT", size: [1, F, C], formats }),
    ]),
    product({ layout: "NT", size: [B * T, F, C], formats: FORMATS.NT[0] }),
    product({ layout: "NN", size: [B * T, C, F], formats: FORMATS.NN[0] }),
    product({ layout: "TN", size: [F, C, B * T], formats: FORMATS.TN[0] }),
    product({ layout: "NT", size: [1, V, C], formats: ["bfloat16", "bfloat16", "float32"] }),
    product({ layout: "NT", size: [1, F, C], formats: FORMATS.NT[0] }),
  ];
}
