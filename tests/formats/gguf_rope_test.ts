/**
 * RoPE's scaling in GGUF. The keys and their meaning are llama.cpp's (src/llama-arch.cpp,
 * llama-context.cpp, ggml_rope_ext); tests/interop/rope_gguf.py runs it on the same files.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { parseLlamaConfig } from "../../src/formats/hf_config.ts";
import { GgufFile } from "../../src/formats/gguf/gguf_file.ts";
import { Metadata } from "../../src/formats/gguf/metadata.ts";
import { ropeScalingFromGguf, type RopeTensors } from "../../src/formats/gguf/rope.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { writeGguf } from "../../src/export/write_gguf.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";
import type { LlamaConfig } from "../../src/model/config.ts";
import type { RopeScaling } from "../../src/model/rope_scaling.ts";
import { UserError } from "../../src/options/user_error.ts";

const FOLDER = fromFileUrl(import.meta.resolve("../fixtures/rope/"));
const { base, cases } = JSON.parse(await Deno.readTextFile(`${FOLDER}cases.json`));
const configOf = (name: string): LlamaConfig =>
  parseLlamaConfig({ ...base, ...cases[name].config });
const UNSCALED = configOf("old_style_null");

function read(keys: Record<string, unknown>, tensors: RopeTensors = {}): RopeScaling | undefined {
  const values = Object.entries(keys).map(([key, value]) => [`llama.rope.${key}`, value]);
  const metadata = new Metadata("x.gguf", Object.fromEntries(values));
  return ropeScalingFromGguf(metadata, "llama", UNSCALED, tensors);
}

const EIGHT = [1, 1, 2, 2, 3, 3, 4, 4], LONG = EIGHT.map((each) => 2 * each);

const YARN: RopeScaling = {
  type: "yarn",
  factor: 4,
  originalMaxPositions: 32, // the model's positions
  attentionFactor: 0.1 * Math.log(4) + 1,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
};

const READ: [string, Record<string, unknown>, RopeScaling | undefined, RopeTensors?][] = [
  ["nothing", {}, undefined],
  ["none with a factor", { "scaling.type": "none", "scaling.factor": 4 }, undefined],
  ["a factor alone", { "scaling.factor": 4 }, { type: "linear", factor: 4 }],
  ["the older key", { scale_linear: 8 }, { type: "linear", factor: 8 }],
  ["a factor of 0", { "scaling.type": "linear", "scaling.factor": 0 }, undefined],
  ["linear", { "scaling.type": "linear", "scaling.factor": 2.5 }, { type: "linear", factor: 2.5 }],
  ["yarn", { "scaling.type": "yarn", "scaling.factor": 4, "scaling.finetuned": true }, YARN],
  [
    "yarn in full",
    {
      "scaling.type": "yarn",
      "scaling.factor": 4,
      "scaling.original_context_length": 64,
      "scaling.attn_factor": 0.5,
      "scaling.yarn_beta_fast": 16,
      "scaling.yarn_beta_slow": 2,
      "scaling.yarn_ext_factor": 1,
      "scaling.yarn_log_multiplier": 0,
    },
    {
      ...YARN,
      originalMaxPositions: 64,
      // llama.cpp multiplies the two.
      attentionFactor: 0.5 * YARN.attentionFactor,
      betaFast: 16,
      betaSlow: 2,
    },
  ],
  [
    "longrope",
    {
      "scaling.type": "longrope",
      "scaling.original_context_length": 16,
      "scaling.attn_factor": 1.25,
    },
    {
      type: "longrope",
      shortFactors: EIGHT,
      longFactors: LONG,
      originalMaxPositions: 16,
      attentionFactor: 1.25,
    },
    { short: EIGHT, long: LONG },
  ],
  [
    "divisors of no known kind",
    {},
    {
      type: "longrope",
      shortFactors: EIGHT,
      longFactors: EIGHT,
      originalMaxPositions: 32,
      attentionFactor: 1,
    },
    { always: EIGHT },
  ],
];

for (const [name, keys, expected, tensors] of READ) {
  Deno.test(`gguf rope: ${name}`, () => assertEquals(read(keys, tensors), expected));
}

const REFUSED: [Record<string, unknown>, string, RopeTensors?][] = [
  [{ "scaling.type": "su" }, "x.gguf: RoPE scaling su is not one of none, linear, yarn, longrope"],
  [{ "scaling.type": "longrope" }, "longrope needs the tensor rope_factors_short.weight"],
  [{ "scaling.type": "longrope" }, "rope_factors_long.weight must hold 8 positive divisors", {
    short: EIGHT,
    long: [1, 2],
  }],
  [{ "scaling.type": "longrope", "scaling.factor": 2 }, "factor 2 beside longrope is not supp"],
  [{ "scaling.factor": 2 }, "rope_freqs.weight beside RoPE scaling linear", { always: EIGHT }],
  [{ "scaling.factor": 2, "scaling.attn_factor": 2 }, "attn_factor 2 needs yarn or longrope"],
  [{ "scaling.type": "yarn", "scaling.factor": "4" }, 'factor must be a positive number, got "4"'],
  [
    { "scaling.type": "yarn", "scaling.yarn_log_multiplier": 0.1 },
    "llama.rope.scaling.yarn_log_multiplier 0.1 is not supported",
  ],
  [{ "scaling.yarn_ext_factor": 0.5 }, "llama.rope.scaling.yarn_ext_factor 0.5 is not supported"],
];

for (const [keys, message, tensors] of REFUSED) {
  Deno.test(`gguf rope: refuses: ${message}`, () => {
    assertThrows(() => read(keys, tensors), UserError, message);
  });
}

async function exported(path: string, config: LlamaConfig): Promise<void> {
  using weights = await Safetensors.open(FOLDER);
  const tensors = [...weights.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    data: (async function* () {
      yield await weights.readFloat32(name);
    })(),
  }));
  await writeGguf(path, { config, tensors, type: "f16" });
}

Deno.test("gguf rope: what is written has the same frequencies when read", async () => {
  const folder = await Deno.makeTempDir(), path = join(folder, "model.gguf");
  const names = Object.keys(cases).filter((name) => /^(yarn|longrope|llama3|linear)/.test(name));
  try {
    for (const name of names) {
      let config: LlamaConfig;
      try {
        config = configOf(name);
      } catch {
        continue; // refused in config.json
      }
      await exported(path, config);
      using file = await GgufFile.open(path);
      for (const length of [8, 200]) {
        const expected = ropeFrequencies(config, length);
        const found = ropeFrequencies(file.config, length);
        // Stored in float32, and Llama 3.1's parameters are recovered within 1e-4.
        const close = (a: number, b: number) => assert(Math.abs(a / b - 1) < 1e-4, name);
        close(found.attentionFactor, expected.attentionFactor);
        expected.frequencies.forEach((each, i) => close(found.frequencies[i], each));
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("gguf rope: what llama.cpp cannot do is refused", async () => {
  const path = await Deno.makeTempFile();
  try {
    for (
      const [config, message] of [
        [
          configOf("dynamic"),
          "RoPE scaling dynamic, whose frequencies change with the length, canno",
        ],
        [{ ...configOf("longrope_long"), modelType: "qwen2" }, "qwen2 with RoPE scaling longrope"],
        [
          { ...configOf("yarn_betas"), modelType: "qwen3" },
          "qwen3 with RoPE scaling yarn with boun",
        ],
      ] as const
    ) {
      let said = "";
      await exported(path, config).catch((error) => said = error.message);
      assert(said.includes(message), said);
    }
  } finally {
    await Deno.remove(path);
  }
});
