import code from "../../../shaders/misc/embedding.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { groupOctets, octetOffset } from "../octet.ts";
import { ranges, rowsPerBinding, rowsPerTiles, TILE, tiles } from "../ranges.ts";
import { strategyFor, valuesOf } from "../strategy.ts";

const define = (weight: "float32" | "bfloat16" | "int8" | "nf4") =>
  kernelByFormat(`embedding.${weight}_weight`, code, {
    variants: [`weight_${weight}`],
    constants: { ...TILE, OCTETS: valuesOf("octetsTogether") },
  });
const byWeight = {
  float32: define("float32"),
  bfloat16: define("bfloat16"),
  int8: define("int8"),
  nf4: define("nf4"),
};

/** Operands of {@link embedding}. */
export interface Embedding {
  /** (N) uint32, each below V. */
  readonly tokens: Tensor;
  /** (V, C) float32, bfloat16, int8 or nf4. */
  readonly weight: Tensor;
  /** (N, C) float32 or bfloat16, overwritten. */
  readonly out: Tensor;
  /** √C for Gemma; 1 by default. */
  readonly scale?: number;
}

/**
 * out[n] = scale · weight[tokens[n]]. A row whose token is not below V is left unchanged: token ids
 * are validated on upload. Throws {@link ShapeError} on operands that do not match.
 */
export function embedding(pass: KernelPass, io: Embedding): void {
  const { tokens, weight, out, scale = 1 } = io;
  const vocabulary = rowsOf(weight.shape), columns = columnsOf(weight.shape);
  expectDType("embedding", "tokens", tokens, "uint32");
  expectDType("embedding", "weight", weight, "float32", "bfloat16", "int8", "nf4");
  const rows = columnsOf(tokens.shape);
  expectShape("embedding", "tokens", tokens, [rows]);
  expectShape("embedding", "out", out, [rows, columns]);
  const kernel = forFormat(byWeight[weight.dtype as keyof typeof byWeight], "embedding", out);
  const octets = out.stride / 8, { octetsTogether: OCTETS } = strategyFor(pass.gpu.capabilities);
  for (const { start, end } of ranges(rows, rowsPerTiles(pass, out))) {
    for (const { start: first, end: last } of ranges(vocabulary, rowsPerBinding(pass, weight))) {
      const table = rowRange(weight, first, last);
      pass.dispatch({
        kernel,
        constants: { OCTETS },
        operands: {
          tokens,
          weight: table,
          out: rowRange(out, start, end),
          ...(weight.constants && { constants: weight.constants }),
        },
        params: {
          rows: end - start,
          octets,
          row: start,
          first_token: first,
          tokens: last - first,
          scale,
          first_octet: octetOffset(table),
          group_octets: groupOctets(table),
        },
        workgroups: tiles(Math.ceil(octets / OCTETS), end - start),
      });
    }
  }
}
