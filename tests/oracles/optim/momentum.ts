/** Momentum in float64, which is overwritten; the update is returned: Nesterov's, as Muon has it, or not. */
export function momentum(
  gradient: ArrayLike<number>,
  momentum: Float64Array,
  decay: number,
  nesterov = true,
): Float64Array {
  return momentum.map((old, i) => {
    const next = decay * old + (1 - decay) * gradient[i];
    momentum[i] = next;
    return nesterov ? decay * next + (1 - decay) * gradient[i] : next;
  });
}
