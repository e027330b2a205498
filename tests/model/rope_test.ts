/**
 * RoPE under every scaling against transformers: logits of a tiny model for configurations of all
 * kinds, loss and every gradient beyond and within the original context, and greedy continuations
 * that cross the border.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { parseLlamaConfig, writeHfConfig } from "../../src/formats/hf_config.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { CachedSequence } from "../../src/inference/cached_sequence.ts";
import { continueTokens } from "../../src/inference/generate.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { UserError } from "../../src/options/user_error.ts";
import { assertClose, gpuTest } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));
const FOLDER = `${FIXTURES}rope/`;

interface Case {
  readonly config: Record<string, unknown>;
  readonly length: number;
  /** The error of transformers. */
  readonly refused?: string;
}

const { base, inputs, cases, continuations, architectures } = JSON.parse(
  await Deno.readTextFile(`${FOLDER}cases.json`),
) as {
  base: Record<string, unknown>;
  inputs: Record<string, number[]>;
  cases: Record<string, Case>;
  continuations: { case: string; prompt: number; continuation: number[] }[];
  architectures: Record<string, Case["config"] & { length: number }>;
};

/** What transformers runs with another meaning than the file's, or fails on: our message. */
const REFUSED: Record<string, RegExp> = {
  theta_lost: /rope_scaling: replaces rope_parameters and so drops their rope_theta 500: /,
  yarn_without_factor: /rope_parameters: factor is missing \(a positive number\)/,
  linear_null: /rope_parameters: factor is missing \(a positive number\)/,
  dynamic_text: /rope_parameters: factor must be a positive number, got "3.0"/,
  unknown:
    /rope_type "ntk" is not supported \(default, linear, dynamic, yarn, longrope, llama3 are/,
  null_type: /rope_type null is not supported/,
  longrope_misshapen: /long_factor must be a list of 8 positive numbers, .*, got a list of 7/,
  by_layer_type: /one per type of layer \(full_attention, sliding_attention\) is not supported/,
  yarn_attn_factor: /attn_factor is not a key of transformers \(attention_factor, /,
  factor_without_type: /rope_scaling: factor has no effect without rope_type/,
  partial: /partial_rotary_factor 0.5 is not supported \(1 is\)/,
  partial_outside: /partial_rotary_factor 0.5 is not supported \(1 is\)/,
};

// Both sides sum in float32 in their own order: 1e-4 of a tensor's largest value allows for it.
const ORDER = 1e-4;

/** Asserts that the last values of `actual` are within `ORDER` of transformers'. */
async function close(entry: string, actual: Float32Array, expected: Safetensors) {
  const reference = await expected.readFloat32(entry);
  const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const tolerance = { atol: ORDER * largest, rtol: 0 };
  assertClose(entry, actual.slice(-reference.length), reference, tolerance);
}

/** The model with another configuration, while `use` runs. */
async function withConfig(
  gpu: Gpu,
  weights: string,
  config: Record<string, unknown>,
  use: (model: LlamaForCausalLM) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(`${weights}/model.safetensors`, join(folder, "model.safetensors"));
    await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(config));
    const model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
    await use(model);
    model.release();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compare(gpu: Gpu, name: string, config: Record<string, unknown>) {
  using expected = await Safetensors.open(`${FOLDER}expected.safetensors`);
  const { length } = cases[name];
  await withConfig(gpu, FOLDER, config, async (model) => {
    const ids = inputs[length];
    const actual = await model.lossAndGradients(ids, ids, { batch: 1, length });
    await close(`${name}.logits`, actual.logits, expected);
    if (!expected.tensors.has(`${name}.loss`)) return;
    await close(`${name}.loss`, Float32Array.of(actual.loss), expected);
    const prefix = `${name}.grad.`;
    const gradients = [...expected.tensors.keys()].filter((entry) => entry.startsWith(prefix));
    assertEquals(
      gradients.map((entry) => entry.slice(prefix.length)).sort(),
      [...actual.gradients.keys()].sort(),
    );
    for (const entry of gradients) {
      await close(entry, actual.gradients.get(entry.slice(prefix.length))!, expected);
    }
  });
}

for (const [name, { config }] of Object.entries(cases)) {
  if (name in REFUSED) continue;
  gpuTest(`rope ${name}: what transformers computes`, async (gpu) => {
    await compare(gpu, name, { ...base, ...config });
  });
}

Deno.test("rope: a saved configuration says the same in the styles of transformers 4 and 5", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, { config }] of Object.entries(cases)) {
      if (name in REFUSED) continue;
      const read = parseLlamaConfig({ ...base, ...config });
      await writeHfConfig(folder, read, "float32");
      const saved = JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
      const { rope_parameters: recent, rope_scaling: old, rope_theta, ...rest } = saved;
      for (
        const rope of [
          { rope_parameters: recent, rope_scaling: old, rope_theta },
          { rope_scaling: old, rope_theta },
          { rope_parameters: recent },
        ]
      ) {
        assertEquals(parseLlamaConfig({ ...rest, ...rope }), read, name);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("rope: what transformers fails on or silently ignores is refused by name", () => {
  const failing = Object.keys(cases).filter((name) => cases[name].refused);
  assertEquals(failing.filter((name) => !(name in REFUSED)), []);
  for (const [name, message] of Object.entries(REFUSED)) {
    let said = "accepted";
    try {
      parseLlamaConfig({ ...base, ...cases[name].config });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      said = error.message;
    }
    assertMatch(said, message, name);
  }
});

for (const [name, { length, ...rope }] of Object.entries(architectures)) {
  gpuTest(`rope yarn in ${name}: what transformers computes`, async (gpu) => {
    using expected = await Safetensors.open(`${FOLDER}expected.safetensors`);
    const weights = `${FIXTURES}models/${name}`;
    const { rope_scaling: _, ...own } = JSON.parse(
      await Deno.readTextFile(`${weights}/config.json`),
    );
    await withConfig(gpu, weights, { ...own, ...rope }, async (model) => {
      const ids = inputs[length];
      const { logits } = await model.lossAndGradients(ids, ids, { batch: 1, length });
      await close(`${name}.logits`, logits, expected);
    });
  });
}

for (const { case: name, prompt, continuation } of continuations) {
  const title = `rope ${name}: greedy text after ${prompt} tokens, across the border`;
  gpuTest(`${title}, is transformers'`, async (gpu) => {
    await withConfig(gpu, FOLDER, { ...base, ...cases[name].config }, async (model) => {
      const tokens = [...inputs[prompt]];
      // In chunks, the prompt's frequencies are still those of the whole.
      for (const chunk of [512, 7]) {
        const sequence = new CachedSequence(model, { positions: 30, chunk });
        const options = { maxNewTokens: continuation.length, temperature: 0 };
        const all = await Array.fromAsync(continueTokens(sequence, tokens, options));
        assertEquals(all, continuation);
        // The cache now holds several frequencies; a prompt starts from none of them.
        const other = tokens.slice(0, -2);
        const fresh = new CachedSequence(model, { positions: 90 });
        const [again, expected] = [await sequence.logits(other), await fresh.logits(other)];
        assertClose("a shorter prompt", again, expected, { atol: 1e-4, rtol: 0 });
        const longer = [...tokens, ...continuation, 1, 2, 3];
        const [more, whole] = [await sequence.logits(longer), await fresh.logits(longer)];
        assertClose("a longer prompt", more, whole, { atol: 1e-4, rtol: 0 });
        sequence.release();
        fresh.release();
      }
    });
  });
}
