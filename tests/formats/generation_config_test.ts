import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import {
  type GenerationConfig,
  readGenerationConfig,
} from "../../src/formats/generation_config.ts";

async function read(files: Record<string, unknown>): Promise<GenerationConfig> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, json] of Object.entries(files)) {
      const text = typeof json === "string" ? json : JSON.stringify(json);
      await Deno.writeTextFile(join(folder, `${name}.json`), text);
    }
    return await readGenerationConfig(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const NOTHING: GenerationConfig = {
  eosTokenIds: [],
  bosTokenId: undefined,
  padTokenId: undefined,
  doSample: undefined,
  temperature: undefined,
  topP: undefined,
  topK: undefined,
  repetitionPenalty: undefined,
  minP: undefined,
  noRepeatNgramSize: undefined,
  maxNewTokens: undefined,
  ignored: [],
};

Deno.test("generation_config: what an instruct model says", async () => {
  const generation_config = {
    bos_token_id: 128000,
    eos_token_id: [128001, 128009],
    pad_token_id: null,
    do_sample: true,
    temperature: 0.6,
    top_p: 0.9,
    top_k: 20,
    repetition_penalty: 1.1,
    min_p: 0,
    no_repeat_ngram_size: 3,
    max_new_tokens: 2048,
    num_beams: 1,
    length_penalty: 2,
    transformers_version: "4.40.0",
  };
  assertEquals(await read({ generation_config, config: { eos_token_id: 5, pad_token_id: 7 } }), {
    eosTokenIds: [128001, 128009],
    bosTokenId: 128000,
    padTokenId: undefined,
    doSample: true,
    temperature: 0.6,
    topP: 0.9,
    topK: 20,
    repetitionPenalty: 1.1,
    minP: 0,
    noRepeatNgramSize: 3,
    maxNewTokens: 2048,
    ignored: ["length_penalty 2"],
  });
});

Deno.test("generation_config: what it does not say, config.json does", async () => {
  const config = { bos_token_id: 1, eos_token_id: 2, pad_token_id: -1 };
  const ids = { eosTokenIds: [2], bosTokenId: 1 };
  assertEquals(await read({ config }), { ...NOTHING, ...ids });
  const generation_config = { temperature: 0, top_k: 0, top_p: 1, do_sample: null };
  assertEquals(await read({ config, generation_config }), {
    ...NOTHING,
    ...ids,
    temperature: 0,
    topK: 0,
    topP: 1,
  });
  assertEquals(await read({ config, generation_config: { eos_token_id: 3 } }), {
    ...NOTHING,
    ...ids,
    eosTokenIds: [3],
  });
  assertEquals(await read({}), NOTHING);
});

Deno.test("generation_config: all faults at once, with the file that has them", async () => {
  const generation_config = {
    eos_token_id: [1, "2"],
    do_sample: "yes",
    temperature: -1,
    top_p: 1.5,
    top_k: 2.5,
    repetition_penalty: 0,
    min_p: 2,
    no_repeat_ngram_size: -1,
    max_new_tokens: 0,
  };
  const error = await assertRejects(() => read({ generation_config }), UserError);
  assertEquals(error.message.split("\n").map((line) => line.trim().replace(/^.*\//, "")), [
    'generation_config.json: eos_token_id must be a token id or null, got [1,"2"]',
    'do_sample must be true or false, got "yes"',
    "temperature must be a number of 0 or more, got -1",
    "top_p must be above 0 and at most 1, got 1.5",
    "top_k must be an integer of 0 or more, got 2.5",
    "repetition_penalty must be a positive number, got 0",
    "min_p must be from 0 to 1, got 2",
    "no_repeat_ngram_size must be an integer of 0 or more, got -1",
    "max_new_tokens must be a positive integer, got 0",
  ]);
  const refused = (files: Record<string, unknown>, message: string) =>
    assertRejects(() => read(files), UserError, message);
  await refused({ generation_config: "{" }, "generation_config.json: is not valid JSON");
  await refused({ generation_config: [] }, "generation_config.json: must be a JSON object");
  await refused({ config: { bos_token_id: "<s>" } }, "/config.json: bos_token_id must be a token");
});
