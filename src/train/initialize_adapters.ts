/** Initialises adapters: at the start of a run they leave the model unchanged. */
import { randomStream } from "../data/random.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { randomNormal } from "../kernels/misc/random_normal.ts";
import type { LlamaConfig } from "../model/config.ts";
import { packTensor } from "../numbers/plain.ts";
import { recordNorms } from "../model/dora.ts";
import type { Llama } from "../model/llama.ts";
import { drawAdapter } from "../optim/restarts.ts";
import { type Adapter, adaptersOf, linearsOf, MAGNITUDE } from "../model/parameters.ts";

/** A model with its adapters. */
type Adapted = Pick<Llama, "config" | "parameters" | "lora">;

/**
 * A uniform in ±1/√in (Kaiming's with a = √5), B zero; of an embedding A zero, B normal; lengths are
 * those of the matrix: as in peft. Drawn on the host, because adapters are small. The model's weights
 * must be there. Those that are merged, which are large, are drawn on the device, as {@link drawAdapter}
 * does, and factors that are all there is of a matrix as {@link drawFactors}.
 */
export function initializeAdapters(gpu: Gpu, model: Adapted, seed: number): void {
  const merged = model.parameters.layers.flatMap(linearsOf).filter(({ weight, adapter }) =>
    adapter && (weight.isProduct || weight.kept)
  );
  const drawn = new Set(merged.flatMap(({ adapter }) => [adapter!.a, adapter!.b]));
  for (const parameter of model.parameters.all) {
    const { kind, name, shape, weight, index } = parameter;
    if (kind !== "adapter" || name.endsWith(MAGNITUDE) || drawn.has(parameter)) continue;
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
  for (const { weight, adapter } of merged) {
    if (weight.isProduct) drawFactors(pass, model.config, adapter!, seed);
    else drawAdapter(pass, adapter!, { seed });
  }
  recordNorms(pass, model);
  for (const { dora } of adaptersOf(model.parameters)) {
    if (dora) pass.copy(dora.norm, dora.magnitude.weight);
  }
  pass.submit();
}

/**
 * W = B·A has the variance σ² of the usual W if those of its factors, of normal numbers, are such that
 * r·σ_A²·σ_B² = σ². Both have the same norm on average, ‖A‖² = ‖B‖², as in the spectral initialisation
 * √Σ·Vᵀ and U·√Σ of a random W (Khodak et al. 2021, arXiv 2105.01029, section 3; Kamalakara et al.
 * 2022). That one would lose the variance of the directions that it leaves out; here signals keep their
 * usual size.
 */
function drawFactors(
  pass: KernelPass,
  { initializerRange }: LlamaConfig,
  { a, b }: Adapter,
  seed: number,
): void {
  const [rank, inner] = a.shape, [out] = b.shape, both = initializerRange / Math.sqrt(rank);
  for (const [factor, ratio] of [[a, out / inner], [b, inner / out]] as const) {
    const std = Math.sqrt(both * Math.sqrt(ratio));
    randomNormal(pass, { target: factor.weight, std, seed, tensor: factor.index });
  }
}

/** A standard normal number (Box and Muller 1958). */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
