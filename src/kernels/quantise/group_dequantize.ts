import code from "../../../shaders/quantise/group_dequantize.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementOffset } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { type GroupType, kernelsByGroup } from "./group_format.ts";
import { groupShifts } from "../octet.ts";
import { FLAG } from "../shader.ts";

const kernels = kernelsByGroup(
  "group_dequantize",
  "reads",
  (name, variants) =>
    kernelByFormat(name, code, { constants: { ...FLAT, GROUP_SHIFTS: FLAG }, variants }),
);

/** Operands of {@link groupDequantize}. */
export interface GroupDequantize {
  /** int8 or int4; may be a row range. */
  readonly source: Tensor;
  /** float32 or bfloat16, the shape of source, overwritten. */
  readonly target: Tensor;
}

/**
 * target = (code − zero) · scale, group by group. Throws {@link ShapeError} on operands that do not
 * match.
 */
export function groupDequantize(pass: KernelPass, { source, target }: GroupDequantize): void {
  expectDType("groupDequantize", "source", source, "int8", "int4");
  expectShape("groupDequantize", "target", target, source.shape);
  const kernel = forFormat(kernels[source.dtype as GroupType], "groupDequantize", target);
  const offset = elementOffset(source);
  for (const range of flatRanges(pass, target)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      constants: { GROUP_SHIFTS: groupShifts(source) },
      operands: {
        codes: flatView(source, range),
        constants: source.constants!,
        target_values: flatView(target, range),
      },
      params: {
        octets,
        first_octet: (offset + range.start) / 8,
        group_octets: source.groupSize! / 8,
      },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
