import code from "../../../shaders/quantise/group_quantize.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementOffset } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { formatOf } from "../format.ts";
import { flatRanges, flatView } from "../flat.ts";
import {
  expectWholeGroups,
  type GroupType,
  HELD_IN_GROUPS,
  heldGroup,
  kernelsByGroup,
  roundingBy,
  STOCHASTIC,
  type StochasticRounding,
} from "./group_format.ts";
import { blocksBy, kernelByFormatAndLanes } from "../lanes.ts";

export type { StochasticRounding } from "./group_format.ts";

const kernels = kernelsByGroup(
  "group_quantize",
  "writes",
  (name, variants) =>
    kernelByFormatAndLanes(name, code, {
      heldOfBlock: HELD_IN_GROUPS,
      variants,
      constants: { STOCHASTIC },
    }),
);

/** Operands of {@link groupQuantize}. */
export interface GroupQuantize {
  /** float32 or bfloat16. */
  readonly source: Tensor;
  /**
   * int8 or int4, in the shape of source: codes and constants overwritten. Rows hold whole groups.
   */
  readonly target: Tensor;
  /** Rounds stochastically; to nearest if absent. */
  readonly rounding?: StochasticRounding;
}

/**
 * Quantises a matrix by groups of `target.groupSize` consecutive elements of its padded rows: a
 * scale and a zero point per group, over a range that includes zero. Zhang et al. 2024 (Q-GaLore).
 * Throws {@link ShapeError} on operands that do not match.
 */
export function groupQuantize(pass: KernelPass, io: GroupQuantize): void {
  const { source, target, rounding } = io;
  const format = formatOf("groupQuantize", source);
  expectDType("groupQuantize", "target", target, "int8", "int4");
  expectShape("groupQuantize", "target", target, source.shape);
  expectWholeGroups("groupQuantize", "target", target);
  const offset = elementOffset(target);
  const groupSize = target.groupSize!, byLanes = kernels[target.dtype as GroupType][format];
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, byLanes, heldGroup(groupSize));
  const key = roundingBy(rounding);
  for (const range of flatRanges(pass, source, groupSize)) {
    const elements = range.end - range.start;
    const groups = Math.ceil(elements / groupSize);
    pass.dispatch({
      kernel,
      constants: { ...constants, ...key.constants },
      operands: {
        source: flatView(source, range),
        codes: flatView(target, range),
        constants: target.constants!,
      },
      params: {
        octets: elements / 8,
        first_octet: (offset + range.start) / 8,
        group_octets: groupSize / 8,
        groups,
        ...key.params,
      },
      workgroups: [Math.ceil(groups / rowsPerGroup)],
    });
  }
}
