/** Kernels that read matrices of any format eight elements at a time. */
import dynamic from "../../shaders/lib/dynamic_8bit.wgsl" with { type: "text" };
import nf4Levels from "../../shaders/lib/nf4.wgsl" with { type: "text" };
import bfloat16 from "../../shaders/lib/octet_bfloat16.wgsl" with { type: "text" };
import float32 from "../../shaders/lib/octet_float32.wgsl" with { type: "text" };
import int4 from "../../shaders/lib/octet_int4.wgsl" with { type: "text" };
import int8 from "../../shaders/lib/octet_int8.wgsl" with { type: "text" };
import nf4Octets from "../../shaders/lib/octet_nf4.wgsl" with { type: "text" };
import { elementOffset, OCTET, type Tensor } from "../gpu/tensor.ts";

/** Formats a matrix of weights or activations may have. */
export type MatrixType = "float32" | "bfloat16" | "int8" | "int4" | "nf4";

/** WGSL that decodes NF4: see shaders/lib/nf4.wgsl. */
export const nf4Library = [dynamic, nf4Levels].join("\n");

/** WGSL that declares `source` (and, quantised, `constants`) and `fn octet(index) -> Octet`. */
export const octetLibrary: Record<MatrixType, string> = {
  float32,
  bfloat16,
  int8,
  int4,
  nf4: [nf4Library, nf4Octets].join("\n"),
};

/** Octets of the whole matrix before the first of this tensor: where its groups begin to count. */
export function octetOffset(tensor: Tensor): number {
  return tensor.constants ? elementOffset(tensor) / OCTET : 0;
}

export function groupOctets(tensor: Tensor): number {
  return (tensor.groupSize ?? OCTET) / OCTET;
}
