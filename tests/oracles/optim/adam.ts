/** Adam's step (Kingma & Ba 2015, algorithm 1) in float64; moments are overwritten. */
export interface AdamOptions {
  step: number;
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
}

/** The update of one step. */
export function adam(
  gradient: ArrayLike<number>,
  m: Float64Array,
  v: Float64Array,
  { step, lr, beta1, beta2, eps }: AdamOptions,
): Float64Array {
  return Float64Array.from(gradient, (g, i) => {
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    const mHat = m[i] / (1 - beta1 ** step), vHat = v[i] / (1 - beta2 ** step);
    return (-lr * mHat) / (Math.sqrt(vHat) + eps);
  });
}
