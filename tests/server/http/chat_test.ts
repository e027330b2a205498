/** `/v1/chat/completions` and `/v1/completions`, driven by the official client. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import OpenAI from "openai";
import { loadTokenizer } from "../../../src/tokenizers/load_tokenizer.ts";
import { chat } from "../../../src/inference/chat.ts";
import { complete } from "../../../src/inference/complete.ts";
import { LlamaForCausalLM } from "../../../src/inference/llama_for_causal_lm.ts";
import { ServerLog } from "../../../src/server/server_log.ts";
import type { GenerationEvent, GenerationRequest } from "../../../src/server/services.ts";
import { gpuTest } from "../../support.ts";
import { modelApp, serverTest, withModelServer } from "../inference/support.ts";

const HELLO = [{ role: "user" as const, content: "Hello" }];
const ASKED = { model: "org/tiny", messages: HELLO, max_tokens: 12, temperature: 0 };

const all = async (stream: AsyncIterable<string>) => (await Array.fromAsync(stream)).join("");

gpuTest(
  "answers are the library's, whole and in pieces, with usage and stop texts",
  (gpu) =>
    withModelServer({ write: { "org/tiny": {} } }, async ({ client, path }) => {
      const tokenizer = await loadTokenizer(path("org/tiny"));
      const model = await LlamaForCausalLM.fromPretrained(path("org/tiny"), { gpu });
      const options = { maxNewTokens: 12, temperature: 0 };
      const expected = await all(chat(model, tokenizer, HELLO, options));
      const continued = await all(complete(model, tokenizer, "Hello", options));
      model.release();
      const turn = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
      const prompt_tokens = tokenizer.encode(turn, { addSpecialTokens: false }).length;
      const usage = { prompt_tokens, completion_tokens: 12, total_tokens: prompt_tokens + 12 };

      const { id, created, system_fingerprint, ...answer } = await client.chat.completions
        .create(ASKED);
      assertMatch(id, /^chatcmpl-\w{24}$/);
      assertMatch(system_fingerprint!, /^fp_/);
      assert(Math.abs(created - Date.now() / 1000) < 60);
      assertEquals<unknown>(answer, {
        object: "chat.completion",
        model: "org/tiny",
        choices: [{
          index: 0,
          message: { role: "assistant", content: expected, refusal: null },
          logprobs: null,
          finish_reason: "length",
        }],
        usage,
      });

      const stream = await client.chat.completions.create({
        ...ASKED,
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = await Array.fromAsync(stream);
      assertEquals(new Set(chunks.map(({ id, object }) => `${object} ${id}`)).size, 1);
      assertEquals(chunks[0].choices[0].delta, { role: "assistant", content: "", refusal: null });
      const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.content ?? []);
      assertEquals(pieces.join(""), expected);
      assert(pieces.filter((piece) => piece).length > 5, "it comes in pieces");
      const [last, told] = chunks.slice(-2);
      assertEquals([last.choices[0].delta, last.choices[0].finish_reason], [{}, "length"]);
      assertEquals([told.choices, told.usage], [[], usage]);
      assert(chunks.slice(0, -1).every(({ usage }) => usage === null));

      // The client's own reassembly of a stream.
      const runner = client.chat.completions.stream(ASKED);
      assertEquals((await runner.finalChatCompletion()).choices[0].message.content, expected);

      const stop = expected.slice(5, 9);
      const stopped = await client.chat.completions.create({ ...ASKED, stop: ["never", stop] });
      const [{ message, finish_reason }] = stopped.choices;
      assertEquals(message.content, expected.slice(0, expected.indexOf(stop)));
      assertEquals(finish_reason, "stop");
      assert(stopped.usage!.completion_tokens < 12);
      const short = await Array.fromAsync(
        await client.chat.completions.create({ ...ASKED, stop, stream: true }),
      );
      assertEquals(
        short.map(({ choices: [{ delta }] }) => delta.content ?? "").join(""),
        message.content,
      );
      assertEquals(short.at(-1)!.usage, undefined);

      const parts = HELLO.map(({ role }) => ({
        role,
        content: [{ type: "text" as const, text: "Hel" }, { type: "text" as const, text: "lo" }],
      }));
      const same = await client.chat.completions.create({ ...ASKED, messages: parts });
      assertEquals(same.choices[0].message.content, expected);

      const text = { model: "org/tiny", prompt: "Hello", max_tokens: 12, temperature: 0 };
      const completion = await client.completions.create(text);
      assertEquals([completion.object, completion.choices], ["text_completion", [
        { text: continued, index: 0, logprobs: null, finish_reason: "length" },
      ]]);
      assertEquals(completion.usage!.completion_tokens, 12);
      const echoed = await Array.fromAsync(
        await client.completions.create({ ...text, prompt: ["Hello"], echo: true, stream: true }),
      );
      assertEquals(echoed.map(({ choices }) => choices[0].text).join(""), "Hello" + continued);
      assertEquals(echoed.at(-1)!.choices[0].finish_reason, "length");
      const brief = await client.completions.create({ ...text, max_tokens: undefined });
      assertEquals(brief.usage!.completion_tokens, 16);

      const drawn = async (seed?: number) =>
        (await client.chat.completions.create({ ...ASKED, temperature: 2, seed }))
          .choices[0].message.content;
      assertEquals(await drawn(7), await drawn(7 + 2 ** 32));
      assert(await drawn() !== await drawn(), "without a seed by chance");
    }),
);

serverTest(
  "a model without a template is for completions; its sampling holds by default",
  () =>
    withModelServer({
      write: {
        tiny: {
          files: {
            "chat_template.jinja": "",
            "generation_config.json": {
              do_sample: true,
              temperature: 2,
              top_k: 0,
              eos_token_id: 0,
            },
          },
        },
        picky: { files: { "chat_template.jinja": "{{ raise_exception('not with me') }}" } },
      },
    }, async ({ client, path, host }) => {
      await Deno.remove(`${path("tiny")}/chat_template.jinja`);
      const error = await assertRejects(
        () => client.chat.completions.create({ ...ASKED, model: "tiny" }),
        OpenAI.BadRequestError,
        "the model has no chat template, which a chat needs: use /v1/completions",
      );
      assertEquals(
        [error.type, error.code, error.param],
        ["invalid_request_error", "missing_chat_template", "model"],
      );
      const text = { model: "tiny", prompt: "Hello", max_tokens: 12 };
      const drawn = async () => (await client.completions.create(text)).choices[0].text;
      const { pid } = host;
      assert(await drawn() !== await drawn(), "it asks to be sampled");
      assertEquals(host.pid, pid, "a request that is at fault ends no process");
      await assertRejects(
        () => client.chat.completions.create({ ...ASKED, model: "picky", stream: true }),
        OpenAI.BadRequestError,
        "chat template, line 1: not with me",
      );
    }),
);

serverTest(
  "what only the model can judge is refused with OpenAI's code and the field, before a stream begins",
  () =>
    withModelServer({ write: { tiny: {} } }, async ({ client }) => {
      // 256 positions; a token is one letter or more.
      const long = "a b c ".repeat(200), short = "a b c ";
      const chat = (content: string, max_tokens?: number, stream = false) =>
        client.chat.completions.create({
          model: "tiny",
          messages: [{ role: "user", content }],
          max_tokens,
          stream,
        });
      const text = (prompt: string, max_tokens?: number, stream = false) =>
        client.completions.create({ model: "tiny", prompt, max_tokens, stream });
      // It has 408 tokens.
      const unknown = await assertRejects(
        () =>
          client.chat.completions.create({
            model: "tiny",
            messages: [{ role: "user", content: "Hello" }],
            logit_bias: { 99999: 1 },
          }),
        OpenAI.BadRequestError,
        "model tiny: logit_bias: token 99999 is outside the vocabulary of 408",
      );
      assertEquals([unknown.code, unknown.param], ["invalid_value", "logit_bias"]);
      const begin = "This model's maximum context length is 256 tokens. However, ";
      for (const stream of [false, true]) {
        for (
          const [ask, param] of [[chat, "messages"], [text, "prompt"]] as const
        ) {
          for (
            const [prompt, tokens, words] of [
              [
                long,
                undefined,
                `your ${param} resulted in \\d+ tokens. Please reduce the length of`,
              ],
              [long, 300, `your ${param} resulted in \\d+ tokens. Please reduce the length of`],
              [
                short,
                256,
                `you requested \\d+ tokens \\(\\d+ in the ${param}, 256 in the completion\\)`,
              ],
            ] as const
          ) {
            const error = await assertRejects(
              () => ask(prompt, tokens, stream) as Promise<unknown>,
              OpenAI.BadRequestError,
            );
            assertEquals([error.code, error.param], ["context_length_exceeded", param]);
            assertMatch(error.message, new RegExp(`^400 ${begin}${words}`));
          }
        }
      }
      // Nobody asked for more than fits: the answer takes what is left.
      const { usage, choices } = await client.chat.completions.create({
        model: "tiny",
        messages: [{ role: "user", content: "a ".repeat(100) }],
        temperature: 0,
      });
      assert(usage!.total_tokens <= 256 && choices.length === 1);
    }),
);

/** Inference that records requests and yields given events. */
function recorded(events: () => AsyncIterable<GenerationEvent>) {
  const asked: GenerationRequest[] = [], log: string[] = [];
  const inference = {
    loaded: undefined,
    async *generate(request: GenerationRequest) {
      asked.push(request);
      yield* events();
    },
    unload: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  const app = modelApp({
    inference,
    models: {} as never,
    serverLog: new ServerLog((line) => log.push(line)),
  });
  const post = (path: string, body: unknown) =>
    app.request(`/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return { asked, post, log };
}

const DONE = { type: "done", finishReason: "stop", promptTokens: 1, completionTokens: 1 } as const;

async function* nothing(): AsyncGenerator<GenerationEvent> {
  yield DONE;
}

Deno.test("requests reach the model; parameters without effect are accepted", async () => {
  const { asked, post } = recorded(nothing);
  const response = await post("chat/completions", {
    model: "m",
    messages: [
      { role: "developer", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Hi" }], name: "Ann" },
      { role: "assistant", content: "Hello", refusal: null, annotations: [], tool_calls: [] },
      { role: "user", content: "And?" },
    ],
    temperature: 0.5,
    top_p: 0.9,
    seed: -1,
    stop: "END",
    max_tokens: 5,
    max_completion_tokens: 7,
    n: 1,
    frequency_penalty: 0.25,
    presence_penalty: null,
    logit_bias: { 7: -100 },
    top_k: 20,
    min_p: 0.1,
    repetition_penalty: 1.5,
    logprobs: false,
    tools: [],
    tool_choice: "none",
    response_format: { type: "text" },
    user: "u",
    metadata: { a: "b" },
    store: true,
    stream: false,
  });
  assertEquals(response.status, 200);
  assertEquals(asked, [{
    model: "m",
    temperature: 0.5,
    topP: 0.9,
    topK: 20,
    minP: 0.1,
    repetitionPenalty: 1.5,
    frequencyPenalty: 0.25,
    presencePenalty: undefined,
    logitBias: { 7: -100 },
    seed: 0xffffffff,
    stop: ["END"],
    maxTokens: 7,
    mustFit: true,
    prompt: {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello" },
        { role: "user", content: "And?" },
      ],
    },
  }]);
});

Deno.test("a fault in the middle is sent in the stream, which then ends without [DONE]", async () => {
  const { post, log } = recorded(async function* () {
    yield { type: "text", text: "Hel" };
    throw new Error("a secret of the server's");
  });
  const response = await post("chat/completions", {
    model: "m",
    messages: HELLO,
    stream: true,
  });
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-type")!, /^text\/event-stream/);
  const events = (await response.text()).trimEnd().split("\n\n");
  assertEquals(events.length, 3);
  assertEquals(JSON.parse(events[2].slice("data: ".length)), {
    error: {
      message: "The server failed to process the request.",
      type: "server_error",
      param: null,
      code: "internal_error",
    },
  });
  assertMatch(log[0], / error a secret of the server's client=/);
});

Deno.test("pieces are asked for as they are read", async () => {
  let made = 0;
  const { post } = recorded(async function* () {
    while (true) yield { type: "text", text: `${made++} ` };
  });
  const { body } = await post("completions", { model: "m", prompt: "x", stream: true });
  const reader = body!.getReader();
  for (let read = 0; read < 10; read++) await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(made <= 12, `${made} were made for 10`);
  await reader.cancel();
});

const CHAT = { model: "m", messages: HELLO };
const image = { type: "image_url", image_url: { url: "data:" } };

for (
  const [path, body, message, param] of [
    ["chat/completions", { messages: HELLO }, "model: ", "model"],
    ["chat/completions", { model: "m" }, "messages: ", "messages"],
    ["chat/completions", { model: "m", messages: [] }, "messages: ", "messages"],
    [
      "chat/completions",
      { ...CHAT, messages: [{ role: "tool", content: "" }] },
      '"tool" is not sup',
    ],
    [
      "chat/completions",
      { ...CHAT, messages: [{ role: "user", content: [image] }] },
      '"image_url" i',
    ],
    [
      "chat/completions",
      { ...CHAT, messages: [{ role: "user", content: 7 }] },
      "must be a string, or",
    ],
    ["chat/completions", { ...CHAT, temperature: 2.1 }, "temperature: ", "temperature"],
    ["chat/completions", { ...CHAT, top_p: -1 }, "top_p: ", "top_p"],
    ["chat/completions", { ...CHAT, n: 2 }, "n: 2 is not supported: one answer per request", "n"],
    ["chat/completions", { ...CHAT, stop: ["", "a"] }, "stop.0: ", "stop.0"],
    ["chat/completions", { ...CHAT, stop: ["a", "b", "c", "d", "e"] }, "stop: Too big: ", "stop"],
    ["chat/completions", { ...CHAT, stop: 5 }, "stop: Invalid input: expected string or array"],
    ["chat/completions", { ...CHAT, max_tokens: 0 }, "max_tokens: ", "max_tokens"],
    ["chat/completions", { ...CHAT, seed: 0.5 }, "seed: ", "seed"],
    ["chat/completions", { ...CHAT, stream: "yes" }, "stream: ", "stream"],
    ["chat/completions", { ...CHAT, stream_options: {} }, "requires stream: true"],
    ["chat/completions", { ...CHAT, logprobs: true }, "logprobs: true is not supported"],
    [
      "chat/completions",
      { ...CHAT, frequency_penalty: 2.5 },
      "frequency_penalty: ",
    ],
    [
      "chat/completions",
      { ...CHAT, logit_bias: { word: 1 } },
      "logit_bias.word: must be the id of a token",
    ],
    ["chat/completions", { ...CHAT, logit_bias: { 5: 101 } }, "logit_bias.5: "],
    ["completions", { model: "m", prompt: "a", min_p: 2 }, "min_p: "],
    [
      "chat/completions",
      { ...CHAT, tools: [{ type: "function" }] },
      "do not call functions",
      "tools",
    ],
    [
      "chat/completions",
      { ...CHAT, response_format: { type: "json_object" } },
      'response_format: {"type":"json_object"} is not supported',
    ],
    ["chat/completions", { ...CHAT, temprature: 1 }, "temprature"],
    ["completions", { model: "m" }, "prompt: must be a string", "prompt"],
    ["completions", { model: "m", prompt: ["a", "b"] }, "multiple prompts are not", "prompt"],
    ["completions", { model: "m", prompt: [1, 2] }, "prompt: must be a string", "prompt"],
    ["completions", { model: "m", prompt: "a", suffix: "b" }, 'suffix: "b" is not supported'],
    ["completions", { model: "m", prompt: "a", best_of: 2 }, "best_of: 2 is not supported"],
    ["completions", { model: "m", prompt: "a", logprobs: 1 }, "logprobs: 1 is not supported"],
  ] as const
) {
  Deno.test(`refused: ${path} ${JSON.stringify(body).slice(0, 90)}`, async () => {
    const { asked, post } = recorded(nothing);
    const response = await post(path, body);
    const { error } = await response.json();
    assertEquals([response.status, error.type, asked], [400, "invalid_request_error", []]);
    assertStringIncludes(error.message, message);
    if (param) assertEquals(error.param, param);
  });
}
