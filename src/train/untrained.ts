/** What a step needs that is only to be timed, or tried: random weights, some tokens and rates. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Batch } from "../model/batch.ts";
import { initialize } from "../model/initialize.ts";
import { uploadRope } from "../model/llama.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import type { Training } from "./build.ts";
import { initializeAdapters } from "./initialize_adapters.ts";
import { optimizerRates } from "./method.ts";
import { pretrainOptions } from "./options.ts";

/** Those of a pre-training run with defaults. */
export function usualRates(): OptimizerRates {
  return optimizerRates(
    pretrainOptions.parse({ model: "llama_nano", data: ["-"], output: "-" }),
  );
}

/** Fills the weights, so that a step computes what it would in a run. */
export function prepare(gpu: Gpu, { model, scratch }: Training): void {
  uploadRope(gpu, model);
  // What is in NF4 or in host memory is only ever read from a file; zeros multiply as fast.
  for (const { host } of model.parameters.all) host?.clear();
  const all = model.parameters.all.filter(({ weight, host }) => weight.dtype !== "nf4" && !host);
  const pass = new KernelPass(gpu);
  initialize(gpu, pass, model.config, { ...model.parameters, all }, { seed: 1, scratch });
  pass.submit();
  initializeAdapters(gpu, model, 1);
}

/** Tokens over the whole vocabulary, in an order that does not repeat within a batch. */
export function someBatch(tokens: number, vocabulary: number): Batch {
  const inputs = Uint32Array.from({ length: tokens }, (_, i) => (i * i + 7 * i) % vocabulary);
  const targets = Int32Array.from(inputs, (_, i) => inputs[(i + 1) % tokens]);
  return { inputs, targets, tokens };
}
