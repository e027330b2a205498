/**
 * Allocation with exact accounting. The memory plan and the run share all the code that decides
 * what is allocated: it runs first against {@link PlanAllocator}, which only counts, and then
 * against the device.
 */
import { bytesOf, columnsOf, type DType, padded, rowsOf } from "../numbers/layout.ts";
import { type Purpose, PURPOSES, type Tensor } from "./tensor.ts";
import { type ConstantsLayout, constantsOf } from "../numbers/constants.ts";
import { ShapeError } from "../numbers/shape_error.ts";

/** A tensor to allocate. */
export interface TensorSpec {
  /** For error messages, labels and memory plans. */
  readonly name: string;
  /** Row-major, every size at least 1. */
  readonly shape: readonly number[];
  /** Number format. */
  readonly dtype: DType;
  /** The column of the memory plan that it counts to. */
  readonly purpose: Purpose;
  /** Elements per quantisation group; required for `int8` and `int4`. `nf4` always has 64. */
  readonly groupSize?: number;
  /**
   * The slot whose memory it takes in one phase, where the allocator has slots (slots.ts): it is not
   * live in the others, and its first contents are undefined, or zeros in a slot of one phase. Not for
   * quantised formats.
   */
  readonly turn?: { readonly slot: string; readonly phase: string };
}

/** A staging texture to allocate. */
export interface TextureSpec {
  /** For error messages, labels and memory plans. */
  readonly name: string;
  /** In texels of 128 bits. */
  readonly width: number;
  /** Rows of texels. */
  readonly height: number;
  /** How shaders see a texel: four numbers (the default), or 128 bits of a copy. */
  readonly format?: "rgba32float" | "rgba32uint";
  /** The column of the memory plan that it counts to. */
  readonly purpose: Purpose;
}

/** A staging texture; in a memory plan `texture` is null. */
export interface TextureTensor extends TextureSpec {
  /** Null in a memory plan. */
  readonly texture: GPUTexture | null;
}

/** Where tensors come from: a {@link Gpu}, a {@link Scope} of one, or a {@link PlanAllocator}. */
export interface Allocator {
  /** Allocates a tensor of zeros. */
  tensor(spec: TensorSpec): Tensor;
  /** Allocates a staging texture. */
  texture(spec: TextureSpec): TextureTensor;
}

/** The bytes of one user of a device: what it holds beyond what was live when it began. */
export interface AccountWatch extends Disposable {
  /** Bytes that are allocated now. */
  readonly live: number;
  /** The most bytes that were allocated at once. */
  readonly peak: number;
}

/** Bytes live now, at peak, and by purpose. */
export class MemoryAccount {
  /** Bytes that are allocated now. */
  live = 0;
  /** The most bytes that were allocated at once. */
  peak = 0;
  /** Bytes that are allocated now, by purpose. */
  readonly byPurpose: Record<Purpose, number> = Object.fromEntries(
    PURPOSES.map((purpose) => [purpose, 0]),
  ) as Record<Purpose, number>;
  readonly #watches = new Set<{ peak: number; readonly base: number }>();

  /** Counts from here on, until it is disposed of; a device's own peak never falls. */
  watch(): AccountWatch {
    const live = () => this.live, watches = this.#watches;
    const counted = { base: this.live, peak: 0 };
    watches.add(counted);
    return {
      get live() {
        return live() - counted.base;
      },
      get peak() {
        return counted.peak;
      },
      [Symbol.dispose]: () => void watches.delete(counted),
    };
  }

  /** Counts an allocation, or with negative bytes its release. */
  add(purpose: Purpose, bytes: number): void {
    this.live += bytes;
    this.byPurpose[purpose] += bytes;
    this.peak = Math.max(this.peak, this.live);
    for (const watch of this.#watches) watch.peak = Math.max(watch.peak, this.live - watch.base);
  }
}

/** What a {@link PlanAllocator} has counted. */
export interface PlannedMemory {
  /** Of the tensor, or of its constants. */
  readonly name: string;
  /** Bytes of its own. */
  readonly bytes: number;
  /** The column of the memory plan that it counts to. */
  readonly purpose: Purpose;
  /** Whether it is a staging texture. */
  readonly texture: boolean;
  /** Format of the tensor, or of the one whose constants they are; absent of a texture. */
  readonly dtype?: DType;
}

/** Counts what the device would allocate, byte for byte, and allocates nothing. */
export class PlanAllocator implements Allocator {
  /** What was counted so far. */
  readonly account = new MemoryAccount();
  /** Every allocation, in order. */
  readonly tensors: PlannedMemory[] = [];

  /** Counts a tensor. */
  tensor(spec: TensorSpec): Tensor {
    return layOut(spec, (name, bytes, purpose) => {
      this.account.add(purpose, bytes);
      this.tensors.push({ name, bytes, purpose, texture: false, dtype: spec.dtype });
      return null;
    });
  }

  /** Counts a staging texture. */
  texture(spec: TextureSpec): TextureTensor {
    const bytes = textureBytes(spec);
    this.account.add(spec.purpose, bytes);
    this.tensors.push({ name: spec.name, bytes, purpose: spec.purpose, texture: true });
    return { ...spec, texture: null };
  }
}

export function textureBytes(spec: TextureSpec): number {
  return spec.width * spec.height * 16;
}

/** Creates a buffer, or only counts it. */
type Place = (name: string, bytes: number, purpose: Purpose) => GPUBuffer | null;

/** Lays out a tensor and its quantisation constants; `place` creates or only counts each buffer. */
export function layOut(
  spec: TensorSpec,
  place: Place,
): Tensor {
  const { name, shape, dtype, purpose } = spec;
  if (shape.length === 0 || shape.some((size) => !Number.isInteger(size) || size < 1)) {
    throw new ShapeError(`tensor ${name}: sizes must be positive, got (${shape.join(", ")})`);
  }
  const stride = padded(columnsOf(shape));
  const elements = rowsOf(shape) * stride;
  const quantised = constantsOf(name, dtype, elements, spec.groupSize);
  const byteLength = bytesOf(dtype, elements);
  const buffer = place(name, byteLength, purpose);
  const constants = quantised && layOutConstants(`${name}.constants`, quantised, place);
  return {
    name,
    shape,
    dtype,
    stride,
    buffer,
    byteOffset: 0,
    byteLength,
    constants,
    groupSize: quantised?.groupSize,
  };
}

/** Constants need no padding, unlike every other tensor. */
function layOutConstants(name: string, { shape, dtype }: ConstantsLayout, place: Place): Tensor {
  const stride = columnsOf(shape), byteLength = bytesOf(dtype, rowsOf(shape) * stride);
  return {
    name,
    shape,
    dtype,
    stride,
    byteOffset: 0,
    byteLength,
    buffer: place(name, byteLength, "quantisation_constants"),
  };
}
