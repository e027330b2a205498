import { swiglu } from "./swiglu.ts";

/** The gradients of swiglu, and h, in float64. */
export function swigluBackward(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  dh: ArrayLike<number>,
) {
  const dgate = new Float64Array(gate.length), dup = new Float64Array(gate.length);
  for (let i = 0; i < gate.length; i++) {
    const sigmoid = 1 / (1 + Math.exp(-gate[i]));
    dgate[i] = dh[i] * up[i] * (sigmoid + gate[i] * sigmoid * (1 - sigmoid));
    dup[i] = dh[i] * gate[i] * sigmoid;
  }
  return { dgate, dup, h: swiglu(gate, up) };
}
