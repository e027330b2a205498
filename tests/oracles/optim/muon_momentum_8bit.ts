/** Muon's momentum in 8 bits, by table and nearest search: the state is overwritten. */
import { dynamicMap, encodeBlocks } from "./adam_blockwise.ts";
import { muonMomentum } from "./muon_momentum.ts";

const SIGNED = dynamicMap(true);

export interface MuonState8bit {
  readonly momentum: Uint8Array;
  readonly absmax: Float64Array;
}

export function muonMomentum8bit(
  gradient: ArrayLike<number>,
  { momentum: codes, absmax }: MuonState8bit,
  decay: number,
): Float64Array {
  const momentum = Float64Array.from(codes, (code, i) => SIGNED[code] * absmax[i >> 8]);
  const update = muonMomentum(gradient, momentum, decay);
  encodeBlocks(momentum, SIGNED, codes, absmax);
  return update;
}
