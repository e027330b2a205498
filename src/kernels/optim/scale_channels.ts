import code from "../../../shaders/optim/scale_channels.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { FLAG, shader } from "../shader.ts";
import { type Channels, channelsOf } from "./channel_squares.ts";

const kernel = shader("scale_channels", code, { constants: { ...FLAT, BY_COLUMNS: FLAG } });

/** Operands of {@link scaleChannels}. */
export interface ScaleChannels {
  /** (R, C) float32, in place. */
  readonly matrix: Tensor;
  /** What each factor scales; `all`: the whole matrix. */
  readonly channels: Channels | "all";
  /** (R), (C) or (1) float32. */
  readonly factors: Tensor;
  /** Of every element; 1 by default. */
  readonly alpha?: number;
}

/**
 * matrix ← alpha · factor · matrix, with a factor of each row or column, or of the matrix. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function scaleChannels(pass: KernelPass, io: ScaleChannels): void {
  const { matrix, channels, factors, alpha = 1 } = io;
  expectDType("scaleChannels", "matrix", matrix, "float32");
  expectDType("scaleChannels", "factors", factors, "float32");
  const count = channels === "all" ? 1 : channelsOf(matrix.shape, channels);
  expectShape("scaleChannels", "factors", factors, [count]);
  for (const range of flatRanges(pass, matrix)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      constants: { BY_COLUMNS: channels === "columns" ? 1 : 0 },
      operands: { matrix: flatView(matrix, range), factors },
      params: {
        octets,
        first_octet: range.start / 8,
        row_octets: matrix.stride / 8,
        row_step: channels === "rows" ? 1 : 0,
        alpha,
      },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
