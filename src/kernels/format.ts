/** Kernels that come in a float32 and a bfloat16 edition of the same source. */
import bfloat16 from "../../shaders/lib/bfloat16.wgsl" with { type: "text" };
import float32 from "../../shaders/lib/float32.wgsl" with { type: "text" };
import { ShapeError } from "../gpu/errors.ts";
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** The format of activations and of their gradients. */
export type ActivationType = "float32" | "bfloat16";

const LIBRARIES: Record<ActivationType, string> = { float32, bfloat16 };

export type KernelByFormat = Record<ActivationType, Kernel>;

/** The same WGSL, written with Quad, unpack and pack, in both formats. */
export function kernelByFormat(name: string, ...sources: string[]): KernelByFormat {
  const edition = (format: ActivationType) =>
    defineKernel(`${name}.${format}`, LIBRARIES[format], ...sources);
  return { float32: edition("float32"), bfloat16: edition("bfloat16") };
}

/** The edition for the format that all these tensors share. */
export function forFormat(
  kernels: KernelByFormat,
  operation: string,
  ...tensors: readonly Tensor[]
): Kernel {
  const format = tensors[0].dtype;
  const odd = tensors.find((tensor) => tensor.dtype !== format);
  if (odd || (format !== "float32" && format !== "bfloat16")) {
    throw new ShapeError(
      `${operation}: activations must all be float32 or all bfloat16, got ${
        tensors.map((tensor) => `${tensor.name} ${tensor.dtype}`).join(", ")
      }`,
    );
  }
  return kernels[format];
}
