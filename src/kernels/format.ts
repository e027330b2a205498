/** Kernels with a float32 and a bfloat16 variant of the same source. */
import { ShapeError } from "../numbers/shape_error.ts";
import type { Kernel, KernelOptions } from "../gpu/kernel.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { shader } from "./shader.ts";

/** Format of activations and their gradients. */
export type ActivationType = "float32" | "bfloat16";

export type KernelByFormat = Record<ActivationType, Kernel>;

/** Both variants of a WGSL source that is written in terms of Quad, unpack and pack. */
export function kernelByFormat(
  name: string,
  source: string,
  { suffix = "", ...options }: Omit<KernelOptions, "libraries"> & { readonly suffix?: string } = {},
): KernelByFormat {
  const variant = (format: ActivationType) =>
    shader(`${name}.${format}${suffix}`, source, {
      ...options,
      variants: [format, ...options.variants ?? []],
    });
  return { float32: variant("float32"), bfloat16: variant("bfloat16") };
}

/** The variant for the common format of these tensors. */
export function forFormat(
  kernels: KernelByFormat,
  operation: string,
  ...tensors: readonly Tensor[]
): Kernel {
  return kernels[formatOf(operation, ...tensors)];
}

/** The common format of these tensors. */
export function formatOf(operation: string, ...tensors: readonly Tensor[]): ActivationType {
  const format = tensors[0].dtype;
  const odd = tensors.find((tensor) => tensor.dtype !== format);
  if (odd || (format !== "float32" && format !== "bfloat16")) {
    throw new ShapeError(
      `${operation}: activations must all be float32 or all bfloat16, got ${
        tensors.map((tensor) => `${tensor.name} ${tensor.dtype}`).join(", ")
      }`,
    );
  }
  return format;
}
