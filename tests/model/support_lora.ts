/** Adapters that peft made, on the models of the fixtures. */
import { loadAdapter, readAdapterConfig } from "../../src/formats/peft.ts";
import { loadWeights } from "../../src/formats/pretrained.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Scope } from "../../src/gpu/scope.ts";
import type { ActivationType } from "../../src/kernels/format.ts";
import type { RunnableModel } from "../../src/inference/runnable_model.ts";
import { createParameters, type WeightType } from "../../src/model/parameters.ts";
import { assertClose } from "../support.ts";

const FIXTURES = new URL("../fixtures/", import.meta.url).pathname;

/** A folder of tests/golden/make_lora.py, and the model that it belongs to. */
export interface AdapterCase {
  readonly adapter: string;
  readonly base: string;
}

export async function adapterCase(name: string): Promise<AdapterCase> {
  const adapter = `${FIXTURES}lora/${name}`;
  const { base } = await readAdapterConfig(adapter);
  const made = base === "odd" || base === "wide";
  return { adapter, base: `${FIXTURES}${made ? "lora" : "models"}/${base}` };
}

export interface AdaptedModel extends RunnableModel {
  release(): void;
}

/** The base frozen, the adapter loaded and trainable, as fine-tuning has them. */
export async function loadAdapted(
  gpu: Gpu,
  { adapter, base }: AdapterCase,
  { weights = "float32", dtype = "float32" }: { weights?: WeightType; dtype?: ActivationType } = {},
): Promise<AdaptedModel> {
  using source = await openPretrained(base);
  const scope = new Scope(gpu);
  const parameters = createParameters(scope, source.config, {
    weights,
    groupSize: 256,
    embeddings: "float32",
    trained: "adapters",
    lora: await readAdapterConfig(adapter),
  });
  await loadWeights(gpu, parameters, source.weights);
  await loadAdapter(gpu, parameters, adapter);
  return { gpu, config: source.config, parameters, dtype, release: () => scope.release() };
}

export interface Batch {
  readonly inputIds: Float32Array; // (B·T)
  readonly labels: Float32Array; // (B·T)
  readonly shape: { readonly batch: number; readonly length: number };
}

/** The tokens that the expectations of a case are for. */
export async function readBatch(expected: Safetensors): Promise<Batch> {
  const [batch, length] = expected.info("input_ids").shape;
  const inputIds = await expected.readFloat32("input_ids");
  return { inputIds, labels: await expected.readFloat32("labels"), shape: { batch, length } };
}

/** Asserts that values differ by no more than a share of the largest expected one. */
export function assertCloseToLargest(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
): void {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  assertClose(what, actual, expected, { atol: share * largest, rtol: 0 });
}
