/** Quantisation to NF4: blocks of 64 elements, whose absolute maxima are quantised in turn. */
import constantsCode from "../../../shaders/quantise/nf4_constants.wgsl" with { type: "text" };
import code from "../../../shaders/quantise/nf4_quantize.wgsl" with { type: "text" };
import type { Allocator, TensorSpec } from "../../gpu/allocator.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, elementOffset, padded, rowsOf, storedElements } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor, viewAs } from "../../gpu/tensor.ts";
import { NF4_BLOCK, NF4_SUPERBLOCK, nf4ConstantWords } from "../../numbers/nf4.ts";
import { flatRanges, flatView } from "../flat.ts";
import { blocksBy, heldOf, kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { sum } from "../misc/sum.ts";

/** A block as lanes hold it. */
const BLOCK = { octets: NF4_BLOCK / 8, loads: 2 };
const kernels = kernelByLanes("nf4_quantize", code, { heldOfBlock: heldOf(BLOCK) });
const constantsKernels = kernelByLanes("nf4_constants", constantsCode);

/** Scratch memory of {@link nf4Quantize}. */
export interface Nf4Workspace {
  /** (blocks) float32. The absolute maxima of the largest matrix, before they are quantised. */
  readonly absmaxes: Tensor;
}

/**
 * Scratch memory shared by matrices of these shapes: a 64th of the largest; `turn`: where it takes
 * the memory of what is not live meanwhile.
 */
export function createNf4Workspace(
  allocator: Allocator,
  shapes: readonly (readonly number[])[],
  turn?: TensorSpec["turn"],
): Nf4Workspace {
  const elements = Math.max(...shapes.map((shape) => rowsOf(shape) * padded(columnsOf(shape))));
  const absmaxes = allocator.tensor({
    name: "nf4.absmaxes",
    shape: [blocksOf(elements)],
    dtype: "float32",
    purpose: "workspace",
    turn,
  });
  return { absmaxes };
}

/** Operands of {@link nf4Quantize}. */
export interface Nf4Quantize {
  /** float32, its padding zero. */
  readonly source: Tensor;
  /** nf4, the shape of source: codes and constants overwritten. */
  readonly target: Tensor;
}

/**
 * Quantises a matrix to NF4 with double quantisation, as bitsandbytes' `quantize_4bit` does with
 * `blocksize=64, compress_statistics=True`, except that blocks run over padded rows: codes relative
 * to the absolute maximum of each 64 elements, and those maxima, less their mean, to 8 bits.
 * Dettmers et al. 2023 (QLoRA). Throws {@link ShapeError} on operands that do not match.
 */
export function nf4Quantize(pass: KernelPass, workspace: Nf4Workspace, io: Nf4Quantize): void {
  expectShape("nf4Quantize", "target", io.target, io.source.shape);
  nf4QuantizeRows(pass, workspace, { ...io, row: 0 });
  nf4QuantizeConstants(pass, workspace, io);
}

/** Row ranges must start at multiples of this, so that no block is split. */
export function nf4RowStep(target: Tensor): number {
  let step = 1;
  while ((step * target.stride) % NF4_BLOCK !== 0) step *= 2;
  return step;
}

/**
 * The same for a matrix that arrives in parts: codes of rows [row, row + n), `source` being (n, C).
 * Parts must start at multiples of {@link nf4RowStep} and be consecutive in one workspace;
 * afterwards {@link nf4QuantizeConstants} turns their absolute maxima into the matrix's constants.
 */
export function nf4QuantizeRows(
  pass: KernelPass,
  workspace: Nf4Workspace,
  { source, target, row }: Nf4Quantize & { readonly row: number },
): void {
  expectDType("nf4Quantize", "source", source, "float32");
  expectWhole(target);
  const rows = rowsOf(source.shape);
  expectShape("nf4Quantize", "source", source, [rows, columnsOf(target.shape)]);
  const part = row === 0 && rows === rowsOf(target.shape)
    ? target
    : rowRange(target, row, row + rows);
  const start = row * target.stride, elements = storedElements(target);
  if (start % NF4_BLOCK !== 0) {
    throw new ShapeError(
      `nf4Quantize: rows of ${target.name} must begin at a multiple of ${nf4RowStep(target)}, ` +
        `got ${row}`,
    );
  }
  const absmaxes = absmaxesOf(workspace, target);
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, kernels, BLOCK);
  for (const range of flatRanges(pass, source, NF4_BLOCK)) {
    const last = start + range.end === elements;
    const first = (start + range.start) / NF4_BLOCK;
    // The scratch buffer holds old data, but its padding is summed and must be zero.
    const end = last ? absmaxes.stride : Math.ceil((start + range.end) / NF4_BLOCK);
    pass.dispatch({
      kernel,
      constants,
      operands: { source: flatView(source, range), codes: flatView(part, range), absmaxes },
      params: {
        octets: (range.end - range.start) / 8,
        blocks: end - first,
        first_block: first,
      },
      workgroups: [Math.ceil((end - first) / rowsPerGroup)],
    });
  }
}

/** Computes the constants of a matrix whose rows have all been quantised in this workspace. */
export function nf4QuantizeConstants(
  pass: KernelPass,
  workspace: Nf4Workspace,
  { target }: Pick<Nf4Quantize, "target">,
): void {
  expectWhole(target);
  const constants = target.constants!, absmaxes = absmaxesOf(workspace, target);
  const blocks = columnsOf(absmaxes.shape);
  const offset = { ...constants, dtype: "float32" } as const;
  sum(pass, { x: absmaxes, out: offset, index: 0, scale: 1 / blocks });
  const loads = NF4_SUPERBLOCK / 4;
  const shared = sharedBy(pass, constantsKernels, lanesFor(pass.gpu, loads, 2 * loads));
  pass.dispatch({
    kernel: shared.kernel,
    constants: shared.constants,
    operands: { absmaxes, constants },
    params: { blocks },
    workgroups: [Math.ceil(Math.ceil(blocks / NF4_SUPERBLOCK) / shared.rowsPerGroup)],
  });
}

function absmaxesOf({ absmaxes }: Nf4Workspace, target: Tensor): Tensor {
  return viewAs(absmaxes, "nf4.absmaxes", [blocksOf(storedElements(target))]);
}

function expectWhole(target: Tensor): void {
  expectDType("nf4Quantize", "target", target, "nf4");
  if (
    elementOffset(target) !== 0 ||
    target.constants!.shape[0] !== nf4ConstantWords(storedElements(target))
  ) {
    throw new ShapeError(
      `nf4Quantize: target must be a whole matrix, got rows of ${target.name}`,
      "quantise whole matrices: a row range may end inside a block",
    );
  }
}

function blocksOf(elements: number): number {
  return Math.ceil(elements / NF4_BLOCK);
}
