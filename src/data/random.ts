/** Seeded random numbers for the data order, the same on every machine. */

/** A stream of numbers in [0, 1) that depends on all the given integers: a mixed counter. */
export function randomStream(...seeds: readonly number[]): () => number {
  let state = seeds.reduce((hash, seed) => mix(hash ^ (seed >>> 0)), 0x9e3779b9);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return mix(state) / 2 ** 32;
  };
}

/** The numbers below `count` in random order (Fisher-Yates). */
export function permutation(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Characters of a text that are hashed; enough to distinguish documents. */
const HASHED = 4096;

/** A 32-bit hash of the start of a text and its length (FNV-1a, then mixed). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5 ^ text.length;
  const length = Math.min(text.length, HASHED);
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash >>> 0);
}

/** A bijection of 32 bits with full avalanche (murmur3's finaliser). */
function mix(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
