/** How a forward pass that reads its operands directly is split into dispatches. */
import type { Dispatch, KernelPass } from "../../gpu/pass.ts";
import { rowRange } from "../../gpu/tensor.ts";
import { firstKeysOf, sequencesPerRange, unitsPerDispatch } from "./attention_heads.ts";
import type { Attention } from "./attention_operands.ts";
import { ranges } from "../ranges.ts";

/** A kernel's division of the work. */
export interface AttentionSplit {
  /** Workgroups that process a sequence. */
  readonly units: number;
  /** Queries, of one head each, that a workgroup processes. */
  readonly rows: number;
  /** Keys that a thread may walk in a dispatch. */
  readonly walked: number;
}

/** Operands, common parameters and workgroups of each dispatch, in order. */
export function* attentionParts(
  pass: KernelPass,
  io: Attention,
  { units, rows, walked }: AttentionSplit,
): Generator<Pick<Dispatch, "operands" | "params" | "workgroups">> {
  const { q, k, v, out, logsumexp, batch, queryLength, keyLength, keyCapacity, headSize } = io;
  const most = unitsPerDispatch(pass, 2 * rows * keyLength * headSize);
  const operands = [{ tensor: q, rows: queryLength }, { tensor: k, rows: keyCapacity }];
  for (const { start, end } of ranges(batch, sequencesPerRange(pass, batch, operands))) {
    const queries = [start * queryLength, end * queryLength] as const;
    const keys = [start * keyCapacity, end * keyCapacity] as const;
    const bound = rowRange(q, ...queries), firstKeys = firstKeysOf(io.firstKeys, bound);
    for (const { start: first_key, end: end_key } of ranges(keyLength, walked)) {
      for (const { start: first, end: last } of ranges((end - start) * units, most)) {
        yield {
          operands: {
            q: bound,
            k: rowRange(k, ...keys),
            v: rowRange(v, ...keys),
            out: rowRange(out, ...queries),
            logsumexp,
            ...firstKeys.operands,
          },
          params: {
            first,
            group: io.heads / io.keyValueHeads,
            query_length: queryLength,
            key_length: keyLength,
            key_capacity: keyCapacity,
            first_key,
            end_key,
            q_quads: q.stride / 4,
            k_quads: k.stride / 4,
            sequence: start,
            lse_stride: logsumexp.stride,
            ...firstKeys.params,
            scale: 1 / Math.sqrt(headSize),
          },
          workgroups: [last - first],
        };
      }
    }
  }
}
