/** Autoregressive decoding with a KV cache. */
import type { Gpu } from "../gpu/gpu.ts";
import { UserError } from "../gpu/errors.ts";
import { KernelPass } from "../gpu/pass.ts";
import { Scope } from "../gpu/scope.ts";
import { rowRange, type Tensor } from "../gpu/tensor.ts";
import { unpackTensor } from "../kernels/convert.ts";
import type { ActivationType } from "../kernels/format.ts";
import { machineOf } from "../kernels/machine.ts";
import { matmul } from "../kernels/matmul.ts";
import { createActivations } from "../model/activations.ts";
import type { LlamaConfig } from "../model/config.ts";
import { forward, type KeyValueCache } from "../model/forward.ts";
import { finalNorm } from "../model/head.ts";
import { uploadInputs } from "../model/inputs.ts";
import { createLlama, uploadRope } from "../model/llama.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import { randomStream, sampleToken, type SamplingOptions } from "./sampling.ts";

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens: number;
  /** Ids that end the text; they are not yielded. */
  readonly stopTokens?: readonly number[];
  readonly seed?: number;
}

/** Yields token ids as they are drawn. The cache and the buffers are freed at the end. */
export async function* generate(
  gpu: Gpu,
  config: LlamaConfig,
  parameters: LlamaParameters,
  dtype: ActivationType,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { maxNewTokens, stopTokens = [], seed = 0 } = options;
  const capacity = prompt.length + maxNewTokens;
  if (prompt.length === 0) {
    throw new UserError(
      "generate: the prompt has no token",
      "give a --prompt of one token or more",
    );
  }
  if (capacity > config.maxPositions) {
    throw new UserError(
      `generate: ${prompt.length} prompt tokens and ${maxNewTokens} new ones exceed the model's ` +
        `${config.maxPositions} positions`,
      "shorten the prompt or lower --max-new-tokens",
    );
  }
  const random = randomStream(seed);
  const decoder = createDecoder(gpu, config, parameters, dtype, prompt.length, capacity);
  try {
    let logits = await decoder.next(Uint32Array.from(prompt));
    for (let made = 0; made < maxNewTokens; made++) {
      const token = sampleToken(logits, options, random);
      if (stopTokens.includes(token)) return;
      yield token;
      if (made + 1 < maxNewTokens) logits = await decoder.next(Uint32Array.of(token));
    }
  } finally {
    decoder.release();
  }
}

interface Decoder {
  /** Runs the next tokens and returns the logits after the last of them. */
  next(tokens: Uint32Array): Promise<Float32Array>;
  release(): void;
}

function createDecoder(
  gpu: Gpu,
  config: LlamaConfig,
  parameters: LlamaParameters,
  dtype: ActivationType,
  promptLength: number,
  capacity: number,
): Decoder {
  const scope = new Scope(gpu);
  const make = (name: string, shape: readonly number[], format: Tensor["dtype"]) =>
    scope.tensor({ name, shape, dtype: format, purpose: "activations" });
  const activationsOf = (length: number) =>
    createActivations(scope, config, { batch: 1, length, dtype, keep: "nothing" });
  const model = createLlama(scope, config, parameters, {
    machine: machineOf(gpu),
    batch: 1,
    length: promptLength,
    positions: capacity,
    headRows: 1,
    backward: false,
    dtype,
  });
  uploadRope(gpu, model);
  const keys = config.keyValueHeads * config.headSize;
  const cache: KeyValueCache = {
    layers: parameters.layers.map((_, layer) => ({
      key: make(`cache.${layer}.key`, [capacity, keys], dtype),
      value: make(`cache.${layer}.value`, [capacity, keys], dtype),
    })),
    capacity,
    length: 0,
  };
  const prompt = activationsOf(promptLength), single = activationsOf(1);
  const last = make("last", [1, config.hiddenSize], dtype);
  const logits = make("logits", [1, config.vocabSize], "float32");

  return {
    async next(tokens) {
      const activations = tokens.length === 1 ? single : prompt;
      uploadInputs(gpu, config, activations, { inputs: tokens, offset: cache.length });
      const pass = new KernelPass(gpu);
      forward(pass, model, activations, cache);
      finalNorm(pass, model, activations);
      pass.copy(rowRange(activations.normed, tokens.length - 1, tokens.length), last);
      matmul(pass, model.matmul, {
        layout: "NT",
        a: last,
        b: parameters.head.weight,
        c: logits,
      });
      pass.submit();
      return unpackTensor(logits, await gpu.read(logits));
    },
    release: () => scope.release(),
  };
}
