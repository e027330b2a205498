import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { chat, Conversation, stopTokens } from "../../src/inference/chat.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { golden } from "../data/instruct/support.ts";
import { gpuTest } from "../support.ts";
import { type ChatFolder, withChatModel } from "./support.ts";
import { assertRefuses, assertRefusesAsync } from "../support_errors.ts";

interface Chat {
  readonly model: LlamaForCausalLM;
  readonly tokenizer: Tokenizer;
  /** Ids of the processed tokens, one list per pass. */
  readonly passes: number[][];
}

const withChat = (gpu: Gpu, options: ChatFolder, run: (chat: Chat) => Promise<void>) =>
  withChatModel(options, async (folder) => {
    const tokenizer = await loadTokenizer(folder);
    const model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
    const live = gpu.account.live, passes: number[][] = [], { write } = gpu;
    gpu.write = (tensor, data, offset) => {
      const rehearsed = gpu.piece !== undefined; // recorded to find its kernels, not written
      if (tensor.name === "tokens" && !rehearsed) {
        passes.push([...new Uint32Array(data.buffer, data.byteOffset, tensor.shape[0])]);
      }
      write.call(gpu, tensor, data, offset);
    };
    try {
      await run({ model, tokenizer, passes });
      assertEquals(gpu.account.live, live, "all is released");
    } finally {
      gpu.write = write;
      model.release();
    }
  });

const all = async (stream: AsyncIterable<string>) => (await Array.fromAsync(stream)).join("");
const HELLO = [{ role: "user", content: "Hello" }];

gpuTest(
  "the model reads what transformers' apply_chat_template gives",
  (gpu) =>
    withChat(gpu, {}, async ({ model, tokenizer, passes }) => {
      let compared = 0;
      for (const template of ["chatml", "llama3", "gemma"]) {
        for (const dialogue of [0, 2]) {
          const { ids, prompt } = golden.rendered.find((each) =>
            each.tokenizer === "chat" && each.template === template && each.dialogue === dialogue
          )!;
          passes.length = 0;
          const messages = golden.dialogues[dialogue].slice(0, -1);
          await all(chat(model, tokenizer, messages, { template, maxNewTokens: 1 }));
          assertEquals(passes, [ids.slice(0, passes[0].length)]);
          assertEquals(tokenizer.decode(passes[0]), prompt);
          compared += passes[0].length;
        }
      }
      assert(compared > 100);
    }),
);

gpuTest(
  "at each turn only what is new is run, and the answers are those of fresh runs",
  (gpu) =>
    withChat(gpu, {}, async ({ model, tokenizer, passes }) => {
      const options = { system: "Speak plainly.", maxNewTokens: 9 };
      const conversation = new Conversation(model, tokenizer, options);
      const questions = ["Who is there?", "Nay, answer me", "naïve 漢"];
      let known = 0;
      for (const [turn, question] of questions.entries()) {
        passes.length = 0;
        const answer = await all(conversation.send(question));
        const fresh = passes[0].length;
        assertEquals(conversation.answer!.text, answer);
        assertEquals(conversation.messages.length, 3 + 2 * turn);
        passes.length = 0;
        const messages = conversation.messages.slice(0, -1);
        assertEquals(await all(chat(model, tokenizer, messages, { maxNewTokens: 9 })), answer);
        // Earlier input is cached. (An answer may be tokenised differently as text.)
        const whole = passes[0].length;
        assert(
          turn === 0 ? fresh === whole : fresh <= whole - known,
          `${fresh}, ${whole}, ${known}`,
        );
        known = whole;
      }
      conversation.reset();
      assertEquals(conversation.messages, [{ role: "system", content: "Speak plainly." }]);
      await all(conversation.send(questions[0]));
      conversation.release();
    }),
);

gpuTest(
  "an answer ends at any of the tokens that end texts, and shows none of them",
  (gpu) =>
    withChat(gpu, {}, async ({ model, tokenizer }) => {
      const conversation = new Conversation(model, tokenizer, { maxNewTokens: 24 });
      await all(conversation.send("Hello"));
      const { tokenIds, finishReason, text } = conversation.answer!;
      conversation.release();
      assertEquals([finishReason, tokenIds.length], ["length", 24]);
      assertEquals(text, tokenizer.decode(tokenIds, { skipSpecialTokens: true }));
      const stop = tokenIds[7], expected = tokenIds.slice(0, tokenIds.indexOf(stop));
      assertEquals(stopTokens(model, tokenizer), [0]);
      const { gpu, config, parameters, dtype, generation } = model;
      const base = { gpu, config, parameters, dtype, generation };
      for (
        const [where, changed] of [
          ["generation_config", {
            ...base,
            generation: { ...generation, eosTokenIds: [300, stop] },
          }],
          ["config", { ...base, config: { ...config, eosTokenId: [stop] } }],
        ] as const
      ) {
        assert(stopTokens(changed, tokenizer).includes(stop), where);
        const ended = new Conversation(changed, tokenizer, { maxNewTokens: 24 });
        await all(ended.send("Hello"));
        assertEquals(ended.answer!.tokenIds, expected, where);
        assertEquals(ended.answer!.finishReason, "stop");
        ended.release();
      }
      const ended = new Conversation(model, { ...bound(tokenizer), eosTokenId: stop }, {});
      await all(ended.send("Hello"));
      assertEquals(ended.answer!.tokenIds, expected, "tokenizer");
      ended.release();
    }),
);

/** A tokenizer as a plain object, to change a field of. */
function bound(tokenizer: Tokenizer): Tokenizer {
  return {
    vocabSize: tokenizer.vocabSize,
    bosTokenId: tokenizer.bosTokenId,
    eosTokenId: tokenizer.eosTokenId,
    specialTokens: tokenizer.specialTokens,
    chatTemplate: tokenizer.chatTemplate,
    warnings: [],
    encode: (text, options) => tokenizer.encode(text, options),
    encodeWithOffsets: (text, options) => tokenizer.encodeWithOffsets(text, options),
    decode: (ids, options) => tokenizer.decode(ids, options),
    save: (folder) => tokenizer.save(folder),
  };
}

gpuTest(
  "the template's own end of turn ends an answer: a token, or spelled-out text",
  (gpu) =>
    withChat(gpu, {}, async ({ model, tokenizer }) => {
      const options = { maxNewTokens: 24 };
      const free = new Conversation(model, tokenizer, options);
      await all(free.send("Hello"));
      const { tokenIds, text } = free.answer!;
      free.release();
      // The same template with another end: a token of the answer, and some text of it.
      const { chatTemplate: template, ...rest } = bound(tokenizer);
      const ending = (end: string) =>
        new Conversation(model, {
          ...rest,
          chatTemplate: template!.replaceAll("+ '<|im_end|>'", (mark, at: number) => {
            // Only in the assistant's text, so that the prompt stays the same.
            return template!.slice(0, at).endsWith("{% generation %}{{ message['content'] ")
              ? `+ ${JSON.stringify(end)}`
              : mark;
          }),
        }, options);
      const at = tokenIds.findIndex((id, i) => i > 2 && tokenizer.decode([id]).trim().length > 1);
      const word = tokenizer.decode([tokenIds[at]]).trim();
      for (const end of [word, text.trim().slice(5, 9)]) {
        const ended = ending(end);
        const shown = await all(ended.send("Hello"));
        assertEquals(ended.answer!.text, shown);
        assert(text.startsWith(shown) && shown.length < text.length, `${end}: ${shown}`);
        assertEquals(ended.answer!.finishReason, "stop");
        ended.release();
      }
    }),
);

gpuTest(
  "a stopped answer stays as far as it got; without one the question goes too",
  (gpu) =>
    withChat(gpu, {}, async ({ model, tokenizer }) => {
      const conversation = new Conversation(model, tokenizer, { maxNewTokens: 20 });
      const controller = new AbortController();
      let said = "";
      await assertRejects(
        async () => {
          for await (const piece of conversation.send("Hello", controller.signal)) {
            said += piece;
            if (said.length > 4) controller.abort(new DOMException("enough", "AbortError"));
          }
        },
        DOMException,
        "enough",
      );
      assertEquals(conversation.answer!.finishReason, "aborted");
      assertEquals(conversation.messages, [...HELLO, { role: "assistant", content: said }]);
      await assertRejects(() => all(conversation.send("More", controller.signal)), DOMException);
      assertEquals(conversation.messages.length, 2);
      for await (const _ of conversation.send("Others")) break;
      assertEquals(conversation.messages.length, 4);
      assertEquals(conversation.answer!.finishReason, "aborted");
      conversation.release();
    }),
);

gpuTest(
  "the model's positions limit an answer, and then the dialogue",
  (gpu) =>
    withChat(gpu, { config: { maxPositions: 48 } }, async ({ model, tokenizer }) => {
      const conversation = new Conversation(model, tokenizer);
      await all(conversation.send("Hello there, who are you?"));
      assertEquals(conversation.answer!.finishReason, "length");
      const { length } = conversation.answer!.tokenIds;
      assert(length > 0 && length < 40, `${length}`);
      await assertRefusesAsync(
        () => all(conversation.send("And then?")),
        UserError,
        "leaves no room for an answer in the model's 48 positions",
      );
      assertEquals([conversation.answer, conversation.messages.length], [undefined, 2]);
      conversation.release();
    }),
);

gpuTest(
  "a dialogue without a template, or that it refuses, is told so",
  (gpu) =>
    withChat(gpu, { files: { "chat_template.jinja": "" } }, async ({ model, tokenizer }) => {
      const bare = { ...bound(tokenizer), chatTemplate: null };
      assertRefuses(() => new Conversation(model, bare), UserError, "trained with: alpaca, chatml");
      const chatTemplate = "a\n{{ raise_exception('not with me') }}";
      const refused = () => all(chat(model, { ...bare, chatTemplate }, HELLO));
      await assertRefusesAsync(refused, UserError, "chat template, line 2: not with me");
    }),
);

gpuTest(
  "the same seed gives the same conversation, and sampling is as the model asks",
  (gpu) =>
    withChat(
      gpu,
      { files: { "generation_config.json": { do_sample: true, temperature: 2, eos_token_id: 0 } } },
      async ({ model, tokenizer }) => {
        const answers = async (seed: number) => {
          const conversation = new Conversation(model, tokenizer, { seed, maxNewTokens: 8 });
          const made = [
            await all(conversation.send("Hello")),
            await all(conversation.send("Hello")),
          ];
          conversation.release();
          return made;
        };
        const [one, again, other] = [await answers(1), await answers(1), await answers(2)];
        assertEquals(one, again);
        assert(one[0] !== other[0]);
        const greedy = () =>
          all(chat(model, tokenizer, HELLO, { temperature: 0, maxNewTokens: 8 }));
        assertEquals(await greedy(), await greedy());
      },
    ),
);
