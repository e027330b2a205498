/**
 * What draws by counters (shaders/lib/rng.wgsl) under a key of seed, step and tensor: each XORs a
 * number of its own to the seed, since keys of the same parts must not give two of them the same bits.
 * A trained weight depends on them: those that are here stay as they are.
 */
export const SALTS = {
  /** Rounding of weights and of projections; initial values, which have a step of their own. */
  rounding: 0,
  /** Directions that a subspace begins with. */
  directions: 0x9e3779b9,
  /** Masks of dropout. */
  dropout: 0x85ebca6b,
  /** NEFTune's noise. */
  noise: 0xc2b2ae35,
  /** Rounding of gradients that are summed in INT8. */
  sums: 0x27d4eb2f,
  /** APOLLO's Omega. */
  omega: 0x165667b1,
  /** ReLoRA's new adapters. */
  restarts: 0xd3a2646c,
  /** Rounding of weights in an outer step of local steps. */
  outer: 0xfd7046c5,
} as const;

/** The seed of one of them, for a run's. */
export function saltedSeed(seed: number, user: keyof typeof SALTS): number {
  return (seed ^ SALTS[user]) >>> 0;
}
