/** A model and a batch to time: random weights, arbitrary tokens. */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import type { Batch } from "../src/model/batch.ts";
import { initialize } from "../src/model/initialize.ts";
import { uploadRope } from "../src/model/llama.ts";
import type { Training } from "../src/train/build.ts";
import { initializeAdapters } from "../src/train/initialize_adapters.ts";

/** Fills the weights, so that a step computes what it would in a run. */
export function prepare(gpu: Gpu, { model, optimizer }: Training): void {
  uploadRope(gpu, model);
  // Matrices in NF4 are only ever read from a file; zeros multiply as fast.
  const all = model.parameters.all.filter(({ kind, weight }) =>
    kind !== "adapter" && weight.dtype !== "nf4"
  );
  const pass = new KernelPass(gpu), scratch = optimizer.scratch.gradient;
  initialize(gpu, pass, model.config, { ...model.parameters, all }, { seed: 1, scratch });
  pass.submit();
  initializeAdapters(gpu, model.parameters, 1);
}

/** Tokens over the whole vocabulary, in an order that does not repeat within a batch. */
export function someBatch(tokens: number, vocabulary: number): Batch {
  const inputs = Uint32Array.from({ length: tokens }, (_, i) => (i * i + 7 * i) % vocabulary);
  const targets = Int32Array.from(inputs, (_, i) => inputs[(i + 1) % tokens]);
  return { inputs, targets, tokens };
}
