/** The loss, and in place the gradient of the logits. */
import code from "../../../shaders/misc/cross_entropy.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { ranges, rowsPerBinding } from "../ranges.ts";
import { FLAG } from "../shader.ts";

const kernels = kernelByLanes("cross_entropy", code, {
  constants: { WEIGHTED: FLAG },
});

/** Logits per dispatch: a tenth of a second on a slow adapter. */
const LOGITS_PER_DISPATCH = 1 << 23;

/** Operands of {@link crossEntropy}. */
export interface CrossEntropy {
  /** (n, V) float32; overwritten with dlogits if gradients are requested. */
  readonly logits: Tensor;
  /** (n) uint32 holding int32 bits; negative labels, -100 by custom, are ignored. */
  readonly labels: Tensor;
  /** (n) float32, overwritten: -weight · log p(label), 0 where the label is ignored, NaN if ≥ V. */
  readonly losses: Tensor;
  /** (n) float32, overwritten: log Σ exp(logits), arbitrary where the label is ignored. */
  readonly logsumexp: Tensor;
  /** (n) float32: what the loss of each row, and its gradient, is multiplied by; 1 if not given. */
  readonly weights?: Tensor;
  /** Factor of dlogits: one over the number of targets. */
  readonly gradScale: number;
  /** Whether the gradient of the logits is written over them. */
  readonly gradients: boolean;
}

/** Two loops over the quads of a row, the first in blocks of 64. */
function loopRounds(logits: Tensor): number {
  return (logits.stride / 4) * (2 + 2 / 64);
}

/**
 * Computes the losses and, in place of the logits, gradScale · (softmax − onehot). Throws {@link
 * ShapeError} on operands that do not match.
 */
export function crossEntropy(
  pass: KernelPass,
  { logits, labels, losses, logsumexp, weights, gradScale, gradients }: CrossEntropy,
): void {
  const rows = rowsOf(logits.shape), columns = columnsOf(logits.shape);
  expectDType("crossEntropy", "logits", logits, "float32");
  expectDType("crossEntropy", "labels", labels, "uint32");
  expectShape("crossEntropy", "labels", labels, [rows]);
  expectDType("crossEntropy", "losses", losses, "float32");
  expectShape("crossEntropy", "losses", losses, [rows]);
  expectDType("crossEntropy", "logsumexp", logsumexp, "float32");
  expectShape("crossEntropy", "logsumexp", logsumexp, [rows]);
  if (weights) {
    expectDType("crossEntropy", "weights", weights, "float32");
    expectShape("crossEntropy", "weights", weights, [rows]);
  }
  const lanes = lanesFor(pass.gpu, logits.stride / 4, loopRounds(logits));
  const { kernel, constants, rowsPerGroup } = sharedBy(pass, kernels, lanes);
  // Multiples of 64 rows satisfy the adapter's alignment.
  const inTime = Math.max(1, Math.floor(LOGITS_PER_DISPATCH / logits.stride / 64)) * 64;
  for (const { start, end } of ranges(rows, Math.min(inTime, rowsPerBinding(pass, logits)))) {
    pass.dispatch({
      kernel,
      constants: { ...constants, WEIGHTED: weights ? 1 : 0 },
      // Without weights their binding still needs a buffer.
      operands: {
        logits: rowRange(logits, start, end),
        labels,
        losses,
        logsumexps: logsumexp,
        weights: weights ?? labels,
      },
      params: {
        rows: end - start,
        columns,
        quads: logits.stride / 4,
        row: start,
        gradients: gradients ? 1 : 0,
        grad_scale: gradScale,
      },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}
