/** Kernels that read matrices of any format eight elements at a time. */
import { elementOffset, OCTET } from "../numbers/layout.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** Formats of weight and activation matrices. */
export type MatrixType = "float32" | "bfloat16" | "int8" | "int4" | "nf4";

/**
 * The library that declares `source` (and `constants`, if quantised) and `fn octet(index) ->
 * Octet`.
 */
export function octetLibrary(format: MatrixType): string {
  return `octet_${format}`;
}

/** Index of this tensor's first octet in the whole matrix, by which groups are numbered. */
export function octetOffset(tensor: Tensor): number {
  return tensor.constants ? elementOffset(tensor) / OCTET : 0;
}

export function groupOctets(tensor: Tensor): number {
  return (tensor.groupSize ?? OCTET) / OCTET;
}
