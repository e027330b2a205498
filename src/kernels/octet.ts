/** Kernels that read matrices of any format eight elements at a time. */
import { elementOffset, OCTET } from "../numbers/layout.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** Formats a matrix of weights or activations may have. */
export type MatrixType = "float32" | "bfloat16" | "int8" | "int4" | "nf4";

/** The library that declares `source` (and, quantised, `constants`) and `fn octet(index) -> Octet`. */
export function octetLibrary(format: MatrixType): string {
  return `octet_${format}`;
}

/** Octets of the whole matrix before the first of this tensor: where its groups begin to count. */
export function octetOffset(tensor: Tensor): number {
  return tensor.constants ? elementOffset(tensor) / OCTET : 0;
}

export function groupOctets(tensor: Tensor): number {
  return (tensor.groupSize ?? OCTET) / OCTET;
}
