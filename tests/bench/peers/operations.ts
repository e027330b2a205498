/** What all of them compute: operations on float32 as data, and the operands, the same for each. */
import type { MatmulLayout } from "../../../src/kernels/matmul/matmul.ts";
import type { Sizes } from "../../../bench/case.ts";

export type Operation =
  | {
    /** c = a·b; b (TN: a) is stored transposed as the layout says. */
    readonly kind: "matmul";
    readonly layout: MatmulLayout;
    readonly m: number;
    readonly n: number;
    readonly k: number;
  }
  /** weight · x / sqrt(mean(x²) + {@link EPS}) over (rows, columns). */
  | { readonly kind: "rms_norm"; readonly rows: number; readonly columns: number }
  /** Causal, over q, k and v of (B·T, H·D). */
  | {
    readonly kind: "attention";
    readonly B: number;
    readonly T: number;
    readonly H: number;
    readonly D: number;
  };

export const EPS = 1e-6;

/** The products of a layer and its gradients, and what lies between them. */
export function operations({ B, T, C, H, D, F }: Sizes): Operation[] {
  const N = B * T;
  return [
    { kind: "matmul", layout: "NT", m: 512, n: 1024, k: 1024 },
    { kind: "matmul", layout: "NT", m: N, n: F, k: C },
    { kind: "matmul", layout: "NN", m: N, n: C, k: F },
    { kind: "matmul", layout: "TN", m: F, n: C, k: N },
    { kind: "rms_norm", rows: N, columns: C },
    { kind: "attention", B, T, H, D },
  ];
}
