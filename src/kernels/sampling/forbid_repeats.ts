import code from "../../../shaders/sampling/forbid_repeats.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf } from "../../numbers/layout.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { shader } from "../shader.ts";
import { LOOP_ROUNDS } from "../strategy.ts";

const WORKGROUP_SIZE = 64;

const kernel = shader("forbid_repeats", code, { constants: { WORKGROUP_SIZE } });

/** Operands of {@link forbidRepeats}. */
export interface ForbidRepeats {
  /** (T) uint32, each of the first `length` below V. */
  readonly tokens: Tensor;
  /** Tokens so far, at most T. */
  readonly length: number;
  /** Tokens of a sequence that must not occur twice, 1 to {@link LOOP_ROUNDS}. */
  readonly size: number;
  /** (1, V) float32; those of forbidden tokens are overwritten with the lowest number. */
  readonly logits: Tensor;
}

/**
 * Forbids every token that would complete a sequence that has occurred. Throws a {@link ShapeError}
 * on operands that do not match.
 */
export function forbidRepeats(pass: KernelPass, io: ForbidRepeats): void {
  const { tokens, length, size, logits } = io;
  expectDType("forbidRepeats", "tokens", tokens, "uint32");
  expectDType("forbidRepeats", "logits", logits, "float32");
  expectShape("forbidRepeats", "logits", logits, [1, columnsOf(logits.shape)]);
  const capacity = columnsOf(tokens.shape);
  expectShape("forbidRepeats", "tokens", tokens, [capacity]);
  if (!(size >= 1 && size <= LOOP_ROUNDS && length <= capacity)) {
    throw new ShapeError(
      `forbidRepeats: size must be 1 to ${LOOP_ROUNDS} and length at most ${capacity}, ` +
        `got ${size} and ${length}`,
    );
  }
  const sequences = length - size + 1;
  if (sequences < 1) return;
  pass.dispatch({
    kernel,
    operands: { tokens, logits },
    params: { length, size },
    workgroups: [Math.ceil(sequences / WORKGROUP_SIZE)],
  });
}
