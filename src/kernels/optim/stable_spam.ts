import clipCode from "../../../shaders/optim/stable_spam_clip.wgsl" with { type: "text" };
import largestCode from "../../../shaders/optim/stable_spam_largest.wgsl" with { type: "text" };
import normCode from "../../../shaders/optim/stable_spam_norm.wgsl" with { type: "text" };
import thresholdCode from "../../../shaders/optim/stable_spam_threshold.wgsl" with {
  type: "text",
};
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { sum } from "../misc/sum.ts";
import { shader } from "../shader.ts";
import { scaleChannels } from "./scale_channels.ts";

const WORKGROUP_SIZE = 64;
/** Quads of a workgroup at least, so that finding the largest of parts is little of the work. */
const LEAST_QUADS = 4096;

const largestKernel = shader("stable_spam_largest", largestCode, { constants: { WORKGROUP_SIZE } });
const thresholdKernel = shader("stable_spam_threshold", thresholdCode, {
  constants: { WORKGROUP_SIZE },
});
const clipKernel = shader("stable_spam_clip", clipCode, { constants: FLAT });
const normKernel = shader("stable_spam_norm", normCode);

/** The paper's γ1, γ2 and γ3, and its ε. */
const NORM = 0.7, SQUARE = 0.9, LARGEST = 0.999, EPS = 1e-8;

/** Numbers of each size that {@link StableSpam} needs. */
export const STABLE_SPAM = { state: 3, parts: 1024, figures: 3 } as const;

/** Operands of {@link stableSpam}. */
export interface StableSpam {
  /** float32 of any shape, in place; its padding zero. */
  readonly gradient: Tensor;
  /** (3) float32, overwritten: running means of the largest magnitude, the norm and its square. */
  readonly state: Tensor;
  /** (1024), (3) and (1) float32, overwritten. */
  readonly scratch: { readonly parts: Tensor; readonly figures: Tensor; readonly factor: Tensor };
  /** The number of gradients averaged in `state`, this one included. */
  readonly step: number;
}

/**
 * Stable-SPAM's AdaClip and AdaGN: scales down elements above the usual largest, then all to the usual
 * norm over its spread. Huang et al. 2025, arXiv 2502.17055, section 3. Throws {@link ShapeError} on
 * operands that do not match.
 */
export function stableSpam(pass: KernelPass, { gradient, state, scratch, step }: StableSpam): void {
  const { parts, figures, factor } = scratch;
  expectDType("stableSpam", "gradient", gradient, "float32");
  const sizes = { state, parts, figures };
  for (const name of ["state", "parts", "figures"] as const) {
    expectDType("stableSpam", name, sizes[name], "float32");
    expectShape("stableSpam", name, sizes[name], [STABLE_SPAM[name]]);
  }
  const decays = (decay: number) => [1 - decay, 1 / (1 - decay ** step)] as const;
  const ranges = [...flatRanges(pass, gradient)],
    most = Math.floor(STABLE_SPAM.parts / ranges.length);
  let first = 0;
  for (const range of ranges) {
    const quads = (range.end - range.start) / 4;
    const groups = Math.min(most, Math.ceil(quads / LEAST_QUADS));
    pass.dispatch({
      kernel: largestKernel,
      operands: { x: flatView(gradient, range), parts },
      params: { quads, first },
      workgroups: [groups],
    });
    first += groups;
  }
  const [fresh, correction] = decays(LARGEST);
  pass.dispatch({
    kernel: thresholdKernel,
    operands: { parts, state, figures },
    params: { parts: first, decay: LARGEST, fresh, correction },
    workgroups: [1],
  });
  for (const range of ranges) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel: clipKernel,
      operands: { x: flatView(gradient, range), figures },
      params: { octets },
      workgroups: [flatWorkgroups(octets)],
    });
  }
  sum(pass, { x: gradient, out: figures, index: 2, squared: true });
  const [fresh1, correction1] = decays(NORM), [fresh2, correction2] = decays(SQUARE);
  pass.dispatch({
    kernel: normKernel,
    operands: { figures, state, factor },
    params: {
      decay1: NORM,
      fresh1,
      correction1,
      decay2: SQUARE,
      fresh2,
      correction2,
      eps: EPS,
    },
    workgroups: [1],
  });
  scaleChannels(pass, { matrix: gradient, channels: "all", factors: factor });
}
