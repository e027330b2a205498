/** The gradient of some rows of the logits, computed again. */
import code from "../../../shaders/misc/cross_entropy_rows.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { ranges, rowsPerTiles, TILE, tiles } from "../ranges.ts";
import { FLAG, shader } from "../shader.ts";

const kernel = shader("cross_entropy_rows", code, { constants: { ...TILE, WEIGHTED: FLAG } });

/** Operands of {@link crossEntropyRows}. */
export interface CrossEntropyRows {
  /** (n, R) float32: of the R tokens of the vocabulary from `first` on; overwritten with dlogits. */
  readonly logits: Tensor;
  /** The token of the first logit. */
  readonly first: number;
  /** (n) uint32 holding int32 bits; negative labels are ignored. */
  readonly labels: Tensor;
  /** (n) float32, of the whole vocabulary: from crossEntropy. */
  readonly logsumexp: Tensor;
  /** (n) float32; 1 if not given. */
  readonly weights?: Tensor;
  /** Factor of dlogits: one over the number of targets. */
  readonly gradScale: number;
}

/**
 * Overwrites logits with gradScale · (softmax − onehot), the bits of crossEntropy. Throws {@link
 * ShapeError} on operands that do not match.
 */
export function crossEntropyRows(
  pass: KernelPass,
  { logits, first, labels, logsumexp, weights, gradScale }: CrossEntropyRows,
): void {
  const rows = rowsOf(logits.shape), quads = logits.stride / 4;
  expectDType("crossEntropyRows", "logits", logits, "float32");
  expectDType("crossEntropyRows", "labels", labels, "uint32");
  expectShape("crossEntropyRows", "labels", labels, [rows]);
  for (const [name, operand] of Object.entries({ logsumexp, weights })) {
    if (!operand) continue;
    expectDType("crossEntropyRows", name, operand, "float32");
    expectShape("crossEntropyRows", name, operand, [rows]);
  }
  for (const { start, end } of ranges(rows, rowsPerTiles(pass, logits))) {
    pass.dispatch({
      kernel,
      constants: { TILE: TILE.TILE, WEIGHTED: weights ? 1 : 0 },
      // Without weights their binding still needs a buffer.
      operands: {
        logits: rowRange(logits, start, end),
        labels,
        logsumexps: logsumexp,
        weights: weights ?? labels,
      },
      params: {
        rows: end - start,
        columns: columnsOf(logits.shape),
        quads,
        row: start,
        first,
        grad_scale: gradScale,
      },
      workgroups: tiles(quads, end - start),
    });
  }
}
