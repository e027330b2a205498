/** What adapters with magnitudes need besides that of plain ones; see dora.ts. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ActivationType } from "../kernels/format.ts";
import type { MatmulShape } from "../kernels/matmul/matmul.ts";
import { bytesOf, padded } from "../numbers/layout.ts";
import type { Adapter } from "./parameters.ts";

/** Scratch memory of adapters with magnitudes. */
export interface DoraWorkspace {
  /** float32, for A·Aᵀ (r, r). */
  readonly gram: Tensor;
  /** float32, for 2s·A·Wᵀ + s²·(A·Aᵀ)·Bᵀ (r, out). */
  readonly products: Tensor;
  /** (rows, widest output): f ∘ dy, then W's product again; only with a backward pass. */
  readonly scratch?: Tensor;
}

/** Bytes of the scratch memory, but for at least 64 rows. */
const SCRATCH_BYTES = 16 << 20;

/** Tokens of a block, a multiple of 64, or all. */
export function doraRows(
  adapters: readonly Adapter[],
  tokens: number,
  dtype: ActivationType,
): number {
  const row = bytesOf(dtype, padded(Math.max(8, ...adapters.map(({ b }) => b.shape[0]))));
  return Math.min(tokens, Math.max(1, Math.floor(SCRATCH_BYTES / row / 64)) * 64);
}

/** Undefined without magnitudes. */
export function createDoraWorkspace(
  allocator: Allocator,
  adapters: readonly Adapter[],
  { tokens, dtype, backward }: {
    readonly tokens: number;
    readonly dtype: ActivationType;
    readonly backward: boolean;
  },
): DoraWorkspace | undefined {
  const scaled = adapters.filter(({ dora }) => dora);
  if (!scaled.length) return undefined;
  const float32 = (name: string, sizeOf: (adapter: Adapter) => number) =>
    allocator.tensor({
      name,
      shape: [Math.max(...scaled.map(sizeOf))],
      dtype: "float32",
      purpose: "workspace",
    });
  const widest = Math.max(...scaled.map(({ b }) => b.shape[0]));
  return {
    gram: float32("dora.gram", ({ a: { shape: [r] } }) => r * padded(r)),
    products: float32("dora.products", ({ b: { shape: [out, r] } }) => r * padded(out)),
    scratch: backward
      ? allocator.tensor({
        name: "dora.scratch",
        shape: [doraRows(scaled, tokens, dtype), widest],
        dtype,
        purpose: "activations",
      })
      : undefined,
  };
}

/** Matrix products of an adapter with magnitudes besides those of any, with blocks of `rows` tokens. */
export function doraMatmuls({ a, b }: Adapter, rows: number, backward: boolean): MatmulShape[] {
  const [r, inner] = a.shape, out = b.shape[0];
  const norms: MatmulShape[] = [
    { layout: "NT", m: r, n: r, k: inner },
    { layout: "NT", m: r, n: out, k: r },
    { layout: "NT", m: r, n: out, k: inner },
  ];
  if (!backward) return norms;
  return [
    ...norms,
    { layout: "NN", m: rows, n: inner, k: out },
    { layout: "NN", m: rows, n: r, k: out },
    { layout: "NT", m: rows, n: out, k: inner },
    { layout: "NT", m: rows, n: out, k: r },
    { layout: "TN", m: out, n: r, k: rows },
  ];
}
