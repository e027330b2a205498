/** Adam's step with moments of 8 or 4 bits, block-wise. */
import code from "../../../shaders/optim/adam_blockwise.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { type DType, storedElements } from "../../numbers/layout.ts";
import { adamParameters, type AdamRates } from "./adam.ts";
import { flatRanges, flatView } from "../flat.ts";
import { blocksBy, type HeldBlock, heldOf, type KernelByLanes, kernelByLanes } from "../lanes.ts";

/** A format of moments. */
interface Format {
  readonly operation: string;
  readonly kernels: KernelByLanes;
  readonly codes: DType;
  /** Elements that share an absolute maximum. */
  readonly block: number;
  readonly held: HeldBlock;
}

/** Elements that share an absolute maximum with 8 bits, as in bitsandbytes. */
export const ADAM_BLOCK = 256;

/** The same with 4 bits. */
export const ADAM_4BIT_BLOCK = 128;

/** Of an octet the gradient takes two loads, and the codes of each moment one. */
const LOADS = 4;

function format(operation: string, codes: DType, bits: 8 | 4, block: number): Format {
  const held = { octets: block / 8, loads: LOADS };
  const kernels = kernelByLanes(`adam_${bits}bit`, code, {
    heldOfBlock: heldOf(held),
    variants: [`moments_${bits}bit`],
  });
  return { operation, kernels, codes, block, held };
}

const EIGHT = format("adam8bit", "uint8", 8, ADAM_BLOCK);
const FOUR = format("adam4bit", "uint4", 4, ADAM_4BIT_BLOCK);

/** Operands of {@link adam8bit} and {@link adam4bit}. */
export interface AdamBlockwise extends AdamRates {
  /** float32, overwritten with the update. */
  readonly gradient: Tensor;
  /** uint8 or uint4 codes, the shape of the gradient, overwritten. */
  readonly m: Tensor;
  /** The same. */
  readonly v: Tensor;
  /** float32 (blocks), overwritten. */
  readonly absmaxM: Tensor;
  /** float32 (blocks), overwritten. */
  readonly absmaxV: Tensor;
}

/** Number of blocks in a tensor, its padding included. */
export function adamBlocks(tensor: Tensor, block = ADAM_BLOCK): number {
  return Math.ceil(storedElements(tensor) / block);
}

/**
 * gradient ← −lr · m̂ / (√v̂ + ε), with 8-bit moments in blocks of 256. A state of zero bytes
 * represents zeros. Dettmers et al. 2022. Throws {@link ShapeError} on operands that do not match.
 */
export function adam8bit(pass: KernelPass, io: AdamBlockwise): void {
  blockwise(pass, EIGHT, io);
}

/**
 * The same with 4-bit moments in blocks of 128 (after Li et al. 2023): v by powers of two, m relative
 * to the root of v; shaders/lib/moments_4bit.wgsl says why not as there. Throws {@link ShapeError} on
 * operands that do not match.
 */
export function adam4bit(pass: KernelPass, io: AdamBlockwise): void {
  blockwise(pass, FOUR, io);
}

function blockwise(
  pass: KernelPass,
  { operation, kernels, codes, block, held }: Format,
  io: AdamBlockwise,
): void {
  const { gradient, m, v, absmaxM, absmaxV } = io;
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, kernels, held);
  expectDType(operation, "gradient", gradient, "float32");
  for (const [name, operand] of Object.entries({ m, v })) {
    expectDType(operation, name, operand, codes);
    expectShape(operation, name, operand, gradient.shape);
  }
  for (const [name, operand] of Object.entries({ absmaxM, absmaxV })) {
    expectDType(operation, name, operand, "float32");
    expectShape(operation, name, operand, [adamBlocks(gradient, block)]);
  }
  for (const range of flatRanges(pass, gradient, block)) {
    const elements = range.end - range.start;
    const blocks = Math.ceil(elements / block);
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: flatView(gradient, range),
        m: flatView(m, range),
        v: flatView(v, range),
        absmax_m: absmaxM,
        absmax_v: absmaxV,
      },
      params: {
        octets: elements / 8,
        first_block: range.start / block,
        blocks,
        ...adamParameters(io),
      },
      workgroups: [Math.ceil(blocks / rowsPerGroup)],
    });
  }
}
