import { type Activation, ACTIVATIONS, glu, normalDensity, normalDistribution } from "./glu.ts";

const SLOPES: Record<Activation, (z: number) => number> = {
  silu: (z) => {
    const sigmoid = 1 / (1 + Math.exp(-z));
    return sigmoid + z * sigmoid * (1 - sigmoid);
  },
  gelu: (z) => normalDistribution(z) + (Math.abs(z) < 40 ? z * normalDensity(z) : 0),
  gelu_tanh: (z) => {
    const root = Math.sqrt(2 / Math.PI);
    const tanh = Math.tanh(root * (z + 0.044715 * z ** 3));
    // 1 - tanh² is zero where tanh is ±1, however large the other factor.
    return 0.5 * (1 + tanh) +
      0.5 * z * (1 - tanh ** 2) * root * (1 + 3 * 0.044715 * z ** 2);
  },
};

/** The gradients of glu, and h, in float64. */
export function gluBackward(
  activation: Activation,
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  dh: ArrayLike<number>,
) {
  const dgate = Float64Array.from(gate, (g, i) => dh[i] * up[i] * SLOPES[activation](g));
  const dup = Float64Array.from(gate, (g, i) => dh[i] * ACTIVATIONS[activation](g));
  return { dgate, dup, h: glu(activation, gate, up) };
}
