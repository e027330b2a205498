/** Momentum in 8 bits, by table and nearest search: the state is overwritten. */
import { dynamicMap, encodeBlocks } from "./adam_blockwise.ts";
import { momentum as average } from "./momentum.ts";

const SIGNED = dynamicMap(true);

export interface MomentumState8bit {
  readonly momentum: Uint8Array;
  readonly absmax: Float64Array;
}

export function momentum8bit(
  gradient: ArrayLike<number>,
  { momentum: codes, absmax }: MomentumState8bit,
  decay: number,
  nesterov = true,
): Float64Array {
  const momentum = Float64Array.from(codes, (code, i) => SIGNED[code] * absmax[i >> 8]);
  const update = average(gradient, momentum, decay, nesterov);
  encodeBlocks(momentum, SIGNED, codes, absmax);
  return update;
}
