/** Kernels that read matrices of any format eight elements at a time. */
import { elementOffset, OCTET } from "../numbers/layout.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { FLAG } from "./shader.ts";

/** Formats of weight and activation matrices. */
export type MatrixType = "float32" | "bfloat16" | "int8" | "int4" | "nf4";

/**
 * The library that declares `source` (and `constants`, if quantised) and `fn octet(index) ->
 * Octet`.
 */
export function octetLibrary(format: MatrixType): string {
  return `octet_${format}`;
}

/** The constants that the library of a format declares, for defining a kernel. */
export function octetConstants(format: MatrixType): Record<string, readonly number[]> {
  return format === "int8" || format === "int4" ? { GROUP_SHIFTS: FLAG } : {};
}

/** Their values for a tensor. */
export function octetConstantsOf(tensor: Tensor): Record<string, number> {
  return tensor.groupSize && tensor.dtype !== "nf4" ? { GROUP_SHIFTS: groupShifts(tensor) } : {};
}

/** Index of this tensor's first octet in the whole matrix, by which groups are numbered. */
export function octetOffset(tensor: Tensor): number {
  return tensor.constants ? elementOffset(tensor) / OCTET : 0;
}

export function groupOctets(tensor: Tensor): number {
  return (tensor.groupSize ?? OCTET) / OCTET;
}

/** 1 if a group is found by a shift; without groups, an octet is one. See lib/group_of.wgsl. */
export function groupShifts(tensor: Tensor): number {
  return Number.isInteger(Math.log2(groupOctets(tensor))) ? 1 : 0;
}
