import code from "../../../shaders/sampling/adjust_logits.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf } from "../../numbers/layout.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("adjust_logits", code, { constants: { WORKGROUP_SIZE } });

/** Set in an occurrence of a token that is in the prompt. */
export const IN_PROMPT = 0x80000000;

/** Operands of {@link adjustLogits}. */
export interface AdjustLogits {
  /** (1, V) float32, overwritten. */
  readonly logits: Tensor;
  /** (V) float32, added. */
  readonly bias: Tensor;
  /** (V) uint32: times that each token was generated, plus {@link IN_PROMPT}. */
  readonly occurrences: Tensor;
  /** Divides positive logits of tokens that have occurred and multiplies negative ones; 1: none. */
  readonly repetitionPenalty: number;
  /** Subtracted for each time that a token was generated. */
  readonly frequencyPenalty: number;
  /** Subtracted once from generated tokens. */
  readonly presencePenalty: number;
}

/** Adds biases and applies penalties. Throws a {@link ShapeError} on operands that do not match. */
export function adjustLogits(pass: KernelPass, io: AdjustLogits): void {
  const { logits, bias, occurrences } = io, vocabulary = columnsOf(logits.shape);
  expectDType("adjustLogits", "logits", logits, "float32");
  expectShape("adjustLogits", "logits", logits, [1, vocabulary]);
  expectDType("adjustLogits", "bias", bias, "float32");
  expectShape("adjustLogits", "bias", bias, [vocabulary]);
  expectDType("adjustLogits", "occurrences", occurrences, "uint32");
  expectShape("adjustLogits", "occurrences", occurrences, [vocabulary]);
  pass.dispatch({
    kernel,
    operands: { logits, bias, occurrences },
    params: {
      count: vocabulary,
      repetition: io.repetitionPenalty,
      frequency: io.frequencyPenalty,
      presence: io.presencePenalty,
    },
    workgroups: [Math.ceil(vocabulary / WORKGROUP_SIZE)],
  });
}
