/** Muon's momentum in float64: `momentum` is overwritten, the update returned. */
export function muonMomentum(
  gradient: ArrayLike<number>,
  momentum: Float64Array,
  decay: number,
): Float64Array {
  return momentum.map((old, i) => {
    const next = decay * old + (1 - decay) * gradient[i];
    momentum[i] = next;
    return decay * next + (1 - decay) * gradient[i];
  });
}
