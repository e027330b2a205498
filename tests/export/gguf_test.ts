import { assert, assertEquals, assertMatch } from "@std/assert";
import { basename, fromFileUrl, join } from "@std/path";
import { NO_INPUT } from "../../src/cli/command.ts";
import { exportModel } from "../../src/cli/export.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { F16, Q8_0 } from "../../src/formats/gguf/encode.ts";
import { exportGguf } from "../../src/export/gguf.ts";
import { GgufFile } from "../../src/formats/gguf/gguf_file.ts";
import { readGeneration } from "../../src/formats/generation.ts";
import { readGgufHeader } from "../../src/formats/gguf/header.ts";
import { ropeFactors, scalingFromFactors } from "../../src/formats/gguf/rope_factors.ts";
import { type GgufEntry, type GgufType, writeGguf } from "../../src/export/write_gguf.ts";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { type LlamaConfig, PRESETS } from "../../src/model/config.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";
import { withChatModel } from "../inference/support.ts";
import { assertRefusesAsync } from "../support_errors.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));
const MODELS = FIXTURES + "models/";

Deno.test("gguf: Q8_0 is quantised as gguf does it, to the bit", async () => {
  using golden = await Safetensors.open(FIXTURES + "gguf/types.safetensors");
  const values = await golden.readFloat32("q8_0.values");
  assertEquals(Q8_0.encode(values), await golden.read("q8_0.bytes"));
});

Deno.test("gguf: F16 rounds to the nearest, halves to even", () => {
  const values = Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, -65504, 2 ** -25, 3 * 2 ** -25);
  const halves = new Uint16Array(F16.encode(values).buffer);
  assertEquals([...halves], [0x3c00, 0x3c02, 0xfbff, 0x0000, 0x0002]);
});

/** Entries of a checkpoint, in pieces that end at arbitrary elements. */
function entriesOf(weights: Safetensors, config: LlamaConfig, pieceLength = 777): GgufEntry[] {
  const tensors = [...weights.tensors.values()];
  return tensors.filter(({ name }) => !config.tieWordEmbeddings || name !== "lm_head.weight")
    .map(({ name, shape }) => ({ name, shape, data: pieces(weights, name, pieceLength) }));
}

async function* pieces(weights: Safetensors, name: string, length: number) {
  const values = await weights.readFloat32(name);
  for (let start = 0; start < values.length; start += length) {
    yield values.slice(start, start + length);
  }
}

for (
  const model of [
    "llama-gqa-tied",
    "llama-mha",
    "mistral-window",
    "qwen2-bias",
    "qwen3-qknorm",
    "gemma-geglu",
  ]
) {
  for (const type of ["f16", "q8_0"] as const) {
    Deno.test(`gguf: ${model} as ${type} and back: the same config, weights within rounding`, async () => {
      await inFolder(async (folder) => {
        const path = join(folder, "model.gguf");
        const config = await readLlamaConfig(MODELS + model);
        using weights = await Safetensors.open(MODELS + model);
        await writeGguf(path, { config, type, tensors: entriesOf(weights, config) });
        using copy = await GgufFile.open(path);
        // GGUF does not store the initialisation.
        assertEquals({ ...copy.config, initializerRange: 0 }, { ...config, initializerRange: 0 });
        assertEquals(
          [...copy.tensors.keys()].sort(),
          entriesOf(weights, config).map(({ name }) => name).sort(),
        );
        for (const [name, { shape, dtype }] of copy.tensors) {
          const expected = await weights.readFloat32(name), actual = await copy.readFloat32(name);
          assertEquals(shape, weights.info(name).shape);
          assertEquals(dtype, shape.length === 1 ? "F32" : shape[1] % 32 ? "F16" : WRITTEN[type]);
          assertRounded(name, actual, expected, dtype, config.normOffset);
        }
      });
    });
  }
}

const WRITTEN: Record<GgufType, string> = { f16: "F16", q8_0: "Q8_0" };

/**
 * F32 is exact but for Gemma's norms, to which 1 is added and taken off again (one rounding at 2 of
 * 2^-23); F16 keeps 11 bits, and 2^-25 below its normal numbers; a code of Q8_0 is off by half a
 * scale, and the scale itself by 2^-11 of 127 codes.
 */
function assertRounded(
  name: string,
  actual: Float32Array,
  expected: Float32Array,
  dtype: string,
  offset: number,
): void {
  for (let i = 0; i < expected.length; i++) {
    const block = expected.subarray(i - i % 32, i - i % 32 + 32);
    const largest = Math.max(...block.map(Math.abs));
    const allowed = dtype === "F32"
      ? offset * 2 ** -22
      : dtype === "F16"
      ? Math.abs(expected[i]) * 2 ** -11 + 2 ** -25
      : largest / 127 * (0.5 + 127 * 2 ** -11) + 1e-7;
    const error = Math.abs(actual[i] - expected[i]);
    assert(error <= allowed, `${name}[${i}]: ${actual[i]} for ${expected[i]} as ${dtype}`);
  }
}

Deno.test("gguf: how the data is cut into pieces does not change the file", async () => {
  await inFolder(async (folder) => {
    const config = await readLlamaConfig(MODELS + "llama-mha");
    using weights = await Safetensors.open(MODELS + "llama-mha");
    const files: Uint8Array[] = [];
    for (const length of [1, 1000, 1 << 20]) {
      const path = join(folder, `${length}.gguf`);
      await writeGguf(path, {
        config,
        type: "q8_0",
        tensors: entriesOf(weights, config, length),
      });
      files.push(await Deno.readFile(path));
    }
    assertEquals(files[1], files[0]);
    assertEquals(files[2], files[0]);
  });
});

Deno.test("gguf: a write that fails says why and leaves the file that was there", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "model.gguf");
    await Deno.writeTextFile(path, "old");
    const config = await readLlamaConfig(MODELS + "llama-mha");
    using weights = await Safetensors.open(MODELS + "llama-mha");
    const entries = entriesOf(weights, config);
    const refused = async (changed: GgufEntry[], message: string, other = config) => {
      await assertRefusesAsync(
        () => writeGguf(path, { config: other, type: "f16", tensors: changed }),
        UserError,
        message,
      );
      assertEquals(await Deno.readTextFile(path), "old");
      assertEquals([...Deno.readDirSync(folder)].length, 1);
    };
    const withData = (values: Float32Array<ArrayBuffer>): GgufEntry[] =>
      entries.map((entry) => {
        const norm = entry.name === "model.layers.1.mlp.up_proj.weight";
        return norm ? { ...entry, data: only(values) } : { ...entry, data: zeros(entry.shape) };
      });
    await refused(
      entries,
      "llama with the activation gelu cannot be written as GGUF: llama.cpp computes silu for llama",
      { ...config, activation: "gelu" },
    );
    await refused(entries.slice(1), "1 tensors are missing: lm_head.weight");
    await refused(
      [...entries, { ...entries[0], name: "model.layers.0.self_attn.q_proj.bias" }],
      "1 tensors do not belong to the model: model.layers.0.self_attn.q_proj.bias",
    );
    await refused(withData(new Float32Array(100)), "takes 22016 bytes, the data made 200");
    const size = 172 * 64;
    await refused(
      withData(new Float32Array(size).fill(65520)),
      "up_proj.weight has the value 65520, which F16 cannot hold\n  hint: q8_0 can",
    );
    await refused(
      withData(new Float32Array(size).fill(NaN)),
      "has the value NaN, which F16 cannot hold\n  hint: has the training diverged?",
    );
    const qwen = await readLlamaConfig(MODELS + "qwen2-bias");
    using other = await Safetensors.open(MODELS + "qwen2-bias");
    const { ropeScaling } = await readLlamaConfig(MODELS + "llama-gqa-tied");
    await refused(
      entriesOf(other, qwen),
      "qwen2 with RoPE scaling llama3 cannot be written as GGUF",
      { ...qwen, ropeScaling },
    );
  });
});

async function* only(values: Float32Array<ArrayBuffer>) {
  yield await Promise.resolve(values);
}

function zeros(shape: readonly number[]) {
  return only(new Float32Array(shape.reduce((product, size) => product * size, 1)));
}

Deno.test("gguf: Llama 3's scalings of RoPE are found again from their factors", () => {
  const base = { ...PRESETS.llama_1b, ropeTheta: 500000 };
  for (const headSize of [16, 64, 128]) {
    for (const [factor, lowFreqFactor, highFreqFactor, originalMaxPositions] of SCALINGS) {
      const ropeScaling = {
        type: "llama3" as const,
        factor,
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositions,
      };
      const config: LlamaConfig = { ...base, headSize, ropeScaling };
      const { ropeScaling: _, ...unscaled } = config;
      const found = scalingFromFactors(unscaled, Array.from(ropeFactors(config)));
      const { frequencies } = ropeFrequencies({ ...unscaled, ropeScaling: found }, 1);
      // The tolerance of the search: 1e-4 of a factor.
      ropeFrequencies(config, 1).frequencies.forEach((expected, i) =>
        assert(Math.abs(frequencies[i] / expected - 1) < 1e-4, `${headSize} ${factor} [${i}]`)
      );
      if (lowFreqFactor === 1 && highFreqFactor === 4 && headSize > 16) {
        assertEquals(found, ropeScaling);
      }
    }
  }
  const { ropeScaling: _, ...unscaled } = { ...base, headSize: 16, ropeScaling: undefined };
  assertEquals(scalingFromFactors(unscaled, new Array(8).fill(1)), undefined);
});

/** Factor, low, high, original length: Llama 3.1's, Llama 3.2's, and others. */
const SCALINGS = [[8, 1, 4, 8192], [32, 1, 4, 8192], [4, 1, 8, 2048], [16, 2, 4, 4096]];

Deno.test("export: a folder becomes a GGUF file with its tokenizer", async () => {
  await inFolder(async (folder) => {
    const model = join(folder, "model"), output = join(folder, "new", "model.gguf");
    await Deno.mkdir(model);
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(join(MODELS, "mistral-window", name), join(model, name));
    }
    await assertRefusesAsync(
      () => exportGguf({ model, output, type: "f16" }),
      UserError,
      "a tokenizer.json is needed",
    );
    await assertRefusesAsync(
      () => exportGguf({ model: join(FIXTURES, "gguf/llama.gguf"), output, type: "f16" }),
      UserError,
      "llama.gguf: is a GGUF file already",
    );
    // A vocabulary that fits the model's 256 ids.
    const tokenizer = join(FIXTURES, "data", "tokenizer-gpt2", "tokenizer.json");
    const json = JSON.parse(await Deno.readTextFile(tokenizer));
    const vocab = Object.entries<number>(json.model.vocab).filter(([, id]) => id < 250);
    json.model = { ...json.model, vocab: Object.fromEntries(vocab), merges: [] };
    await Deno.writeTextFile(join(model, "tokenizer.json"), JSON.stringify(json));
    const results: unknown[] = [], lines: string[] = [];
    const io = {
      json: true,
      verbose: false,
      args: [],
      status: () => {},
      interactive: false,
      signal: new AbortController().signal,
      input: NO_INPUT,
      takeInterrupts: () => () => {},
      describeStop: () => () => {},
      log: (line: string) => lines.push(line),
      text: () => {},
      event: () => {},
      result: (value: unknown) => results.push(value),
    };
    const options = exportModel.options.parse({ model, output, type: "q8_0" });
    assertEquals(await exportModel.run(options, io), 0);
    const { size } = await Deno.stat(output);
    const modelfile = join(folder, "new", "Modelfile");
    assertEquals(results, [{ output, type: "q8_0", bytes: size, modelfile }]);
    assertMatch(await Deno.readTextFile(modelfile), /FROM \.\/model\.gguf\n/);
    assertEquals(lines.length, 1);
    assert(lines[0].includes("beyond 8 tokens its results differ"), lines[0]);
    const [source, copy] = [await loadTokenizer(model), await loadTokenizer(output)];
    for (const text of ["Hello <|endoftext|>", "naïve  12\n", "漢"]) {
      assertEquals(copy.encode(text), source.encode(text));
    }
    using file = await GgufFile.open(output);
    assertEquals(file.config.slidingWindow, { size: 8, layers: [true, true] });
    assertEquals(file.info("model.embed_tokens.weight").dtype, "Q8_0");
    assertEquals([...file.tokenizerFiles().keys()], ["tokenizer.json", "tokenizer_config.json"]);
    await assertRefusesAsync(
      () => exportGguf({ model, output: folder, type: "f16" }),
      UserError,
      "is a folder\n  hint: name a .gguf file in it",
    );
  });
});

Deno.test("export: what ends a turn, how to sample, and the name, under gguf-py's keys", async () => {
  const marked = "{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}<|im_end|>" +
    "{% endgeneration %}{% endfor %}";
  const files = {
    "chat_template.jinja": marked,
    // The ends of a text, of a call, and of a turn.
    "generation_config.json": {
      do_sample: true,
      temperature: 0.5,
      top_p: 0.75,
      min_p: 0.25,
      eos_token_id: [0, 405, 401],
    },
  };
  await withChatModel({ files }, async (model) => {
    const output = join(model, "model.gguf");
    await exportGguf({ model, output, type: "f16" });
    const { metadata: { values } } = await readGgufHeader(output);
    assertEquals(values["general.name"], basename(model));
    assertEquals(values["tokenizer.ggml.eos_token_id"], 0);
    assertEquals(values["tokenizer.ggml.eot_token_id"], 401);
    assertEquals(values["tokenizer.ggml.eom_token_id"], 405);
    assertEquals(values["general.sampling.temp"], 0.5);
    assertEquals(values["general.sampling.top_p"], 0.75);
    assertEquals(values["general.sampling.top_k"], 50);
    assertEquals(values["general.sampling.min_p"], 0.25);
    assertEquals(
      values["tokenizer.chat_template"],
      "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}",
    );
    using copy = await GgufFile.open(output);
    assertEquals(copy.config.eosTokenId, [0, 401, 405]);
    assertEquals(await readGeneration(output, copy.config), {
      ...{ doSample: true, temperature: 0.5, topK: 50, topP: 0.75, minP: 0.25 },
      repetitionPenalty: undefined,
      ...{ eosTokenIds: [0, 401, 405], bosTokenId: 402, padTokenId: undefined, ignored: [] },
    });
  });
});

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
