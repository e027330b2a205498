/** Activations of a gate by definition, in float64. */
export const ACTIVATIONS = {
  silu: (z: number) => z / (1 + Math.exp(-z)),
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
