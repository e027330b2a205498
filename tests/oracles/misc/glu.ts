/** The density of the normal distribution. */
export function normalDensity(z: number): number {
  return Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
}

/** The normal distribution: its series (Marsaglia 2004, eq. 3), and Laplace's fraction for tails. */
export function normalDistribution(z: number): number {
  if (z > 5) return 1 - normalDistribution(-z);
  if (z < -5) {
    let fraction = -z;
    for (let k = 80; k > 0; k--) fraction = -z + k / fraction;
    return normalDensity(z) / fraction;
  }
  let term = z, sum = z;
  for (let k = 3; k < 200; k += 2) sum += term *= z * z / k;
  return 0.5 + normalDensity(z) * sum;
}

/** Activations of a gate by definition, in float64. */
export const ACTIVATIONS = {
  silu: (z: number) => z / (1 + Math.exp(-z)),
  gelu: (z: number) => z * normalDistribution(z),
  gelu_tanh: (z: number) =>
    0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))),
};

export type Activation = keyof typeof ACTIVATIONS;

/** h = act(gate) · up. */
export function glu(
  activation: Activation,
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(gate, (g, i) => ACTIVATIONS[activation](g) * up[i]);
}
