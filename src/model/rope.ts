/** Rotary position embedding: the table of cosines and sines (Su et al. 2021, section 3.4.2). */
import type { LlamaConfig } from "./config.ts";

/** Frequency of each pair of a head's halves: theta^(-2i/D), scaled as configured. */
export function ropeFrequencies(config: LlamaConfig): Float64Array {
  const { headSize: D, ropeTheta, ropeScaling } = config;
  const frequencies = Float64Array.from({ length: D / 2 }, (_, i) => ropeTheta ** (-2 * i / D));
  if (!ropeScaling) return frequencies;
  if (ropeScaling.type === "linear") return frequencies.map((f) => f / ropeScaling.factor);
  // Llama 3.1: wavelengths beyond the original context are stretched by the factor, short ones are
  // kept, and those in between are interpolated (Llama 3 herd of models, section 3.4.3, and
  // transformers).
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = ropeScaling;
  return frequencies.map((frequency) => {
    const turns = originalMaxPositions * frequency / (2 * Math.PI);
    if (turns < lowFreqFactor) return frequency / factor;
    if (turns > highFreqFactor) return frequency;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return (1 - smooth) * frequency / factor + smooth * frequency;
  });
}

/** (T, D) float32: D/2 cosines, then D/2 sines, of each position. */
export function ropeTable(config: LlamaConfig, length: number): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(config);
  const half = frequencies.length;
  const table = new Float32Array(length * 2 * half);
  for (let t = 0; t < length; t++) {
    for (let i = 0; i < half; i++) {
      table[t * 2 * half + i] = Math.cos(t * frequencies[i]);
      table[t * 2 * half + half + i] = Math.sin(t * frequencies[i]);
    }
  }
  return table;
}
