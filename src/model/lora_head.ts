/**
 * The head's adapter. Logits exist for one chunk of tokens at a time, low-rank products for all:
 *
 *   low (N, r) = drop(x)·Aᵀ → logits (n, V) += s · low·Bᵀ
 *   dlow (n, r) = s · dlogits·B, dB += s · dlogitsᵀ·low → dx (N, C) += drop(dlow·A), dA
 */
import type { KernelPass } from "../gpu/pass.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { matmul } from "../kernels/matmul/matmul.ts";
import type { Range } from "../kernels/ranges.ts";
import type { GradientSink } from "./gradients.ts";
import { addInputGradient, droppedView, type LoraWorkspace, lowRank } from "./lora.ts";
import type { Adapter } from "./parameters.ts";

/** A pass of the adapter over all tokens of a batch, with its head's chunks in between. */
export class HeadLora {
  readonly #low: Tensor; // (N, r)
  readonly #dlow: Tensor; // (N, r)

  /** x (N, C) is the head's input. */
  constructor(
    private readonly pass: KernelPass,
    private readonly workspace: LoraWorkspace,
    private readonly adapter: Adapter,
    private readonly x: Tensor,
  ) {
    this.#low = lowRank(pass, workspace, adapter, x);
    this.#dlow = viewAs(workspace.dlow, "lora.low_gradient", this.#low.shape);
  }

  /**
   * logits (n, V) += the adapter's part, from token `start` on; or (n, R), those of some rows of the
   * head
   */
  addLogits(logits: Tensor, start: number, rows?: Range): void {
    const { weight } = this.adapter.b;
    matmul(this.pass, this.workspace.matmul, {
      layout: "NT",
      a: this.#rows(this.#low, logits, start),
      b: rows ? rowRange(weight, rows.start, rows.end) : weight,
      c: logits,
      alpha: this.adapter.scale,
      accumulate: true,
    });
  }

  /** The chunk's part of the gradients, from dlogits (n, V); B's goes to `target`. */
  backward(
    dlogits: Tensor,
    start: number,
    target: { readonly gradient: Tensor; readonly accumulate: boolean } | undefined,
  ): void {
    const { pass, workspace, adapter: { b, scale: alpha } } = this;
    const dlow = this.#rows(this.#dlow, dlogits, start);
    matmul(pass, workspace.matmul, { layout: "NN", a: dlogits, b: b.weight, c: dlow, alpha });
    if (!target) return;
    const low = this.#rows(this.#low, dlogits, start);
    const accumulate = target.accumulate || start > 0;
    matmul(pass, workspace.matmul, {
      layout: "TN",
      a: dlogits,
      b: low,
      c: target.gradient,
      alpha,
      accumulate,
    });
  }

  /** After the last chunk: dx (N, C) += the gradient of the input; A's goes to the sink. */
  finish(dx: Tensor, sink: GradientSink): void {
    const { pass, workspace, adapter } = this, { a } = adapter, dlow = this.#dlow;
    const target = a.trainable ? sink.target(a) : undefined;
    if (target) {
      const { gradient: c, accumulate } = target;
      const b = droppedView(workspace, this.x) ?? this.x;
      matmul(pass, workspace.matmul, { layout: "TN", a: dlow, b, c, accumulate });
    }
    addInputGradient(pass, workspace, { adapter, dlow, dx });
    if (target) sink.consume(pass, a, target.gradient);
  }

  #rows(all: Tensor, { shape: [rows] }: Tensor, start: number): Tensor {
    return rowRange(all, start, start + rows);
  }
}
