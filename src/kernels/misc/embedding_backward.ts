import code from "../../../shaders/misc/embedding_backward.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges, rowsOfGroups, rowsPerBinding, TILE, tiles } from "../ranges.ts";
import { LOOP_ROUNDS, strategyFor, valuesOf } from "../strategy.ts";

const kernels = kernelByFormat("embedding_backward", code, {
  constants: { ...TILE, OCTETS: valuesOf("octetsTogether") },
});

/** Operands of {@link embeddingBackward}. */
export interface EmbeddingBackward {
  /** (N, C) float32 or bfloat16. */
  readonly dx: Tensor;
  /** (N) uint32: positions sorted by their token. */
  readonly order: Tensor;
  /** (N) uint32: the tokens of those positions, ascending. */
  readonly sortedTokens: Tensor;
  /** (V, C) float32, or its rows from {@link firstRow} on; added to. */
  readonly dweight: Tensor;
  /** The token of the first row of dweight; 0 by default. */
  readonly firstRow?: number;
  /** Same as in the forward pass. */
  readonly scale?: number;
}

/**
 * Positions sorted by token, equal tokens in text order, for {@link embeddingBackward}. Sorted on
 * the CPU, which holds the tokens anyway.
 */
export function sortTokens(
  tokens: Uint32Array,
): { order: Uint32Array<ArrayBuffer>; sortedTokens: Uint32Array<ArrayBuffer> } {
  // Token and position packed into one float64 sort natively, without a comparison function.
  const keys = Float64Array.from(tokens, (token, position) => token * tokens.length + position);
  keys.sort();
  const order = Uint32Array.from(keys, (key) => key % tokens.length);
  return { order, sortedTokens: order.map((position) => tokens[position]) };
}

/**
 * dweight[v] += scale · Σ dx[n] over the n with tokens[n] = v, in text order. Throws {@link
 * ShapeError} on operands that do not match.
 */
export function embeddingBackward(pass: KernelPass, io: EmbeddingBackward): void {
  const { dx, order, sortedTokens, dweight, firstRow: first = 0, scale = 1 } = io;
  const positions = rowsOf(dx.shape), columns = columnsOf(dx.shape);
  const tokens = rowsOf(dweight.shape);
  expectDType("embeddingBackward", "order", order, "uint32");
  expectShape("embeddingBackward", "order", order, [positions]);
  expectDType("embeddingBackward", "sortedTokens", sortedTokens, "uint32");
  expectShape("embeddingBackward", "sortedTokens", sortedTokens, [positions]);
  expectDType("embeddingBackward", "dweight", dweight, "float32");
  expectShape("embeddingBackward", "dweight", dweight, [tokens, columns]);
  const kernel = forFormat(kernels, "embeddingBackward", dx);
  const octets = dx.stride / 8, { octetsTogether: OCTETS } = strategyFor(pass.gpu.capabilities);
  // A single thread may have to loop over all of them.
  const positionsPerDispatch = Math.min(rowsOfGroups(pass, TILE.TILE), LOOP_ROUNDS);
  for (const { start: firstRow, end: lastRow } of ranges(positions, rowsPerBinding(pass, dx))) {
    for (
      const { start: firstToken, end: lastToken } of ranges(
        tokens,
        rowsPerBinding(pass, dweight),
      )
    ) {
      for (const { start, end } of ranges(positions, positionsPerDispatch)) {
        pass.dispatch({
          kernel,
          constants: { OCTETS },
          operands: {
            dx: rowRange(dx, firstRow, lastRow),
            order,
            sorted_tokens: sortedTokens,
            dweight: rowRange(dweight, firstToken, lastToken),
          },
          params: {
            octets,
            position: start,
            end,
            first_row: firstRow,
            rows: lastRow - firstRow,
            first_token: first + firstToken,
            tokens: lastToken - firstToken,
            scale,
          },
          workgroups: tiles(Math.ceil(octets / OCTETS), end - start),
        });
      }
    }
  }
}
