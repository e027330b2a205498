import code from "../../../shaders/misc/rope_cached.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, type KernelByFormat, kernelByFormat } from "../format.ts";
import { ranges, ROW_WORKGROUP_SIZE, rowsPerBinding, rowsPerDispatch } from "../ranges.ts";
import { shader } from "../shader.ts";

const constants = { WORKGROUP_SIZE: ROW_WORKGROUP_SIZE };
const inFours = kernelByFormat("rope_cached", code, { variants: ["parts_of_four"], constants });
/** For heads whose half is not a multiple of four. */
const inTwos: KernelByFormat = {
  float32: shader("rope_cached_in_twos.float32", code, {
    variants: ["parts_of_two_float32"],
    constants,
  }),
  bfloat16: shader("rope_cached_in_twos.bfloat16", code, {
    variants: ["parts_of_two_bfloat16"],
    constants,
  }),
};

/** Operands of {@link ropeCached}. */
export interface RopeCached {
  /** (N, H·D) float32 or bfloat16, turned in place. */
  readonly query: Tensor;
  /** (N, K·D). */
  readonly key: Tensor;
  /** (N, K·D). */
  readonly value: Tensor;
  /** (capacity, K·D); N rows from `offset` on are overwritten with the turned keys. */
  readonly cachedKey: Tensor;
  /** (capacity, K·D); the same rows are overwritten with the values. */
  readonly cachedValue: Tensor;
  /** (Tmax, D) float32: for each position D/2 cosines, then D/2 sines, with any factor. */
  readonly table: Tensor;
  /** D, a multiple of 4. */
  readonly headSize: number;
  /** Tokens in the cache: the position of the first row. */
  readonly offset: number;
}

/**
 * Rotary position embedding of the tokens of one sequence, whose keys and values are added to a
 * cache; see {@link rope}. Throws {@link ShapeError} on operands that do not match.
 */
export function ropeCached(pass: KernelPass, io: RopeCached): void {
  const { query, key, value, cachedKey, cachedValue, table, headSize, offset } = io;
  const rows = rowsOf(query.shape), queries = columnsOf(query.shape);
  const keys = columnsOf(key.shape), capacity = rowsOf(cachedKey.shape);
  if (headSize % 4 !== 0 || queries % headSize !== 0 || keys % headSize !== 0) {
    throw new ShapeError(
      `ropeCached: the head size must be a multiple of 4 that divides ${queries} and ${keys}, ` +
        `got ${headSize}`,
    );
  }
  expectShape("ropeCached", "key", key, [rows, keys]);
  expectShape("ropeCached", "value", value, [rows, keys]);
  expectShape("ropeCached", "cachedKey", cachedKey, [capacity, keys]);
  expectShape("ropeCached", "cachedValue", cachedValue, [capacity, keys]);
  expectDType("ropeCached", "table", table, "float32");
  const positions = rowsOf(table.shape);
  expectShape("ropeCached", "table", table, [positions, headSize]);
  if (offset + rows > Math.min(positions, capacity)) {
    throw new ShapeError(
      `ropeCached: the table has ${positions} positions and the cache ${capacity}, ` +
        `${offset + rows} are needed`,
    );
  }
  const part = headSize % 8 === 0 ? 4 : 2;
  const kernel = forFormat(
    part === 4 ? inFours : inTwos,
    "ropeCached",
    query,
    key,
    value,
    cachedKey,
    cachedValue,
  );
  const heads = queries / headSize, allHeads = heads + keys / headSize;
  const threads = allHeads * headSize / 2 / part;
  for (const { start, end } of ranges(rows, rowsPerDispatch(pass, threads, query, key))) {
    for (const { start: first, end: last } of ranges(capacity, rowsPerBinding(pass, cachedKey))) {
      if (last <= offset + start || first >= offset + end) continue;
      const count = (end - start) * threads;
      pass.dispatch({
        kernel,
        operands: {
          q: rowRange(query, start, end),
          k: rowRange(key, start, end),
          v: rowRange(value, start, end),
          table,
          cached_k: rowRange(cachedKey, first, last),
          cached_v: rowRange(cachedValue, first, last),
        },
        params: {
          count,
          offset: offset + start,
          first_row: first,
          rows: last - first,
          head_parts: headSize / part,
          heads,
          all_heads: allHeads,
          q_parts: query.stride / part,
          k_parts: key.stride / part,
          table_parts: table.stride / part,
        },
        workgroups: [Math.ceil(count / ROW_WORKGROUP_SIZE)],
      });
    }
  }
}
