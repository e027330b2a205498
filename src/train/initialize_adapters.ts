/** Initialises adapters: at the start of a run they leave the model unchanged. */
import { randomStream } from "../data/random.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { packTensor } from "../numbers/plain.ts";
import type { LlamaParameters } from "../model/parameters.ts";

/**
 * A uniform in ±1/√in (Kaiming's with a = √5), B zero; of an embedding A zero, B normal: as in
 * peft. Drawn on the host, because adapters are small.
 */
export function initializeAdapters(gpu: Gpu, { all }: LlamaParameters, seed: number): void {
  for (const { kind, name, shape, weight, index } of all) {
    if (kind !== "adapter") continue;
    const values = new Float32Array(shape[0] * shape[1]), next = randomStream(seed, index);
    if (name.endsWith(".lora_A.weight")) {
      const bound = 1 / Math.sqrt(shape[1]);
      for (let i = 0; i < values.length; i++) values[i] = bound * (2 * next() - 1);
    } else if (name.endsWith(".lora_embedding_B")) {
      for (let i = 0; i < values.length; i++) values[i] = normal(next);
    }
    gpu.write(weight, packTensor(weight, values));
  }
}

/** A standard normal number (Box and Muller 1958). */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
