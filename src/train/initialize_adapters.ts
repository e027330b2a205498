/** Initialises adapters: at the start of a run they leave the model unchanged. */
import { randomStream } from "../data/random.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { packTensor } from "../numbers/plain.ts";
import { recordNorms } from "../model/dora.ts";
import type { Llama } from "../model/llama.ts";
import { adaptersOf, MAGNITUDE } from "../model/parameters.ts";

/** A model with its adapters. */
type Adapted = Pick<Llama, "parameters" | "lora">;

/**
 * A uniform in ±1/√in (Kaiming's with a = √5), B zero; of an embedding A zero, B normal; lengths are
 * those of the matrix: as in peft. Drawn on the host, because adapters are small. The model's weights
 * must be there.
 */
export function initializeAdapters(gpu: Gpu, model: Adapted, seed: number): void {
  for (const { kind, name, shape, weight, index } of model.parameters.all) {
    if (kind !== "adapter" || name.endsWith(MAGNITUDE)) continue;
    const values = new Float32Array(shape[0] * shape[1]), next = randomStream(seed, index);
    if (name.endsWith(".lora_A.weight")) {
      const bound = 1 / Math.sqrt(shape[1]);
      for (let i = 0; i < values.length; i++) values[i] = bound * (2 * next() - 1);
    } else if (name.endsWith(".lora_embedding_B")) {
      for (let i = 0; i < values.length; i++) values[i] = normal(next);
    }
    gpu.write(weight, packTensor(weight, values));
  }
  const pass = new KernelPass(gpu);
  recordNorms(pass, model);
  for (const { dora } of adaptersOf(model.parameters)) {
    if (dora) pass.copy(dora.norm, dora.magnitude.weight);
  }
  pass.submit();
}

/** A standard normal number (Box and Muller 1958). */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
