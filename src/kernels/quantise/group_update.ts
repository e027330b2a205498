import code from "../../../shaders/quantise/group_update.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementOffset } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
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
import { blocksBy, kernelByLanes } from "../lanes.ts";

const kernels = kernelsByGroup(
  "group_update",
  "writes",
  (name, variants) =>
    kernelByLanes(name, code, { heldOfBlock: HELD_IN_GROUPS, variants, constants: { STOCHASTIC } }),
);

/** Operands of {@link groupUpdate}. */
export interface GroupUpdate {
  /** int8 or int4, or rows of it that hold whole groups: codes and constants overwritten. */
  readonly weight: Tensor;
  /** float32, the shape of weight. */
  readonly update: Tensor;
  /** Factor applied to the old weight: 1 − lr · weight decay. */
  readonly decay: number;
  /** Rounds stochastically; to nearest if absent. */
  readonly rounding?: StochasticRounding;
}

/**
 * weight = requantise(decay · dequantise(weight) + update), with a new scale and zero point per
 * group, in one pass; rows in several ranges get the bits that all at once would. Zhang et al. 2024
 * (Q-GaLore), algorithm 1. Throws {@link ShapeError} on operands that do not match.
 */
export function groupUpdate(pass: KernelPass, io: GroupUpdate): void {
  const { weight, update, decay, rounding } = io;
  expectDType("groupUpdate", "weight", weight, "int8", "int4");
  expectDType("groupUpdate", "update", update, "float32");
  expectShape("groupUpdate", "update", update, weight.shape);
  expectWholeGroups("groupUpdate", "weight", weight);
  const offset = elementOffset(weight);
  const groupSize = weight.groupSize!, byLanes = kernels[weight.dtype as GroupType];
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, byLanes, heldGroup(groupSize));
  const key = roundingBy(rounding);
  for (const range of flatRanges(pass, weight, groupSize)) {
    const elements = range.end - range.start;
    const groups = Math.ceil(elements / groupSize);
    pass.dispatch({
      kernel,
      constants: { ...constants, ...key.constants },
      operands: {
        codes: flatView(weight, range),
        constants: weight.constants!,
        update: flatView(update, range),
      },
      params: {
        octets: elements / 8,
        first_octet: (offset + range.start) / 8,
        group_octets: groupSize / 8,
        groups,
        decay,
        ...key.params,
      },
      workgroups: [Math.ceil(groups / rowsPerGroup)],
    });
  }
}
