import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { OutOfMemoryError } from "../../src/gpu/errors.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { chat, Conversation } from "../../src/inference/chat.ts";
import { complete } from "../../src/inference/complete.ts";
import type { Answer } from "../../src/inference/continuation.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { gpuTest } from "../support.ts";
import { type ChatFolder, withChatModel } from "./support.ts";

const withModel = (
  gpu: Gpu,
  options: ChatFolder & { readonly memoryLimit?: number },
  run: (model: LlamaForCausalLM, tokenizer: Tokenizer) => Promise<void>,
) =>
  withChatModel(options, async (folder) => {
    const { memoryLimit } = options;
    const model = await LlamaForCausalLM.fromPretrained(folder, { gpu, memoryLimit });
    const live = gpu.account.live;
    try {
      await run(model, await loadTokenizer(folder));
      assertEquals(gpu.account.live, live, "all is released");
    } finally {
      model.release();
    }
  });

const all = async (stream: AsyncIterable<string>) => (await Array.fromAsync(stream)).join("");
const HELLO = [{ role: "user", content: "Hello" }];

gpuTest(
  "a text goes on with the model's own tokens, and ends where it is told to",
  (gpu) =>
    withModel(gpu, {}, async (model, tokenizer) => {
      const prompt = tokenizer.encode("Hello");
      const ids = await Array.fromAsync(
        model.generate(prompt, { maxNewTokens: 24, temperature: 0, stopTokens: [0] }),
      );
      let answer: Answer | undefined;
      const ask = (stop?: readonly string[], maxNewTokens = 24) =>
        all(
          complete(model, tokenizer, "Hello", { stop, maxNewTokens }, (ended) => answer = ended),
        );
      const text = await ask();
      assertEquals(text, tokenizer.decode(ids, { skipSpecialTokens: true }));
      assertEquals([answer!.text, answer!.tokenIds], [text, ids]);
      assertEquals([answer!.promptTokens, answer!.finishReason], [prompt.length, "length"]);

      const stop = text.slice(7, 12), shown = await ask(["never said", stop]);
      assertEquals(shown, text.slice(0, text.indexOf(stop)));
      assertEquals([answer!.text, answer!.finishReason], [shown, "stop"]);
      assert(answer!.tokenIds.length < ids.length, "no more is made than is wanted");

      for await (const _ of complete(model, tokenizer, "Hello", {}, (it) => answer = it)) break;
      assertEquals(answer!.finishReason, "aborted");
    }),
);

gpuTest(
  "stop texts end an answer of a chat, which counts the prompt's tokens",
  (gpu) =>
    withModel(gpu, {}, async (model, tokenizer) => {
      const whole = await all(chat(model, tokenizer, HELLO, { maxNewTokens: 24 }));
      const stop = whole.slice(6, 10);
      const conversation = new Conversation(model, tokenizer, { maxNewTokens: 24, stop: [stop] });
      assertEquals(await all(conversation.send("Hello")), whole.slice(0, whole.indexOf(stop)));
      const { promptTokens, finishReason } = conversation.answer!;
      const turn = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
      assertEquals(promptTokens, tokenizer.encode(turn, { addSpecialTokens: false }).length);
      assertEquals(finishReason, "stop");
      conversation.release();
    }),
);

gpuTest(
  "a text without a token is begun, one that fills the positions refused",
  (gpu) =>
    withModel(gpu, { config: { maxPositions: 16 } }, async (model, tokenizer) => {
      const refused = (text: string, message: string) =>
        assertRejects(() => all(complete(model, tokenizer, text)), UserError, message);
      const begun = model.generate([tokenizer.bosTokenId!], { maxNewTokens: 8, temperature: 0 });
      const options = { skipSpecialTokens: true };
      assertEquals(
        await all(complete(model, tokenizer, "", { maxNewTokens: 8 })),
        tokenizer.decode(await Array.fromAsync(begun), options),
      );
      await refused("a b c ".repeat(9), "leaves no room for an answer in the model's 16 positions");
    }),
);

gpuTest("what does not fit is refused with the numbers, before it is allocated", async (gpu) => {
  const live = gpu.account.live;
  await withChatModel({}, async (folder) => {
    await assertRejects(
      () => LlamaForCausalLM.fromPretrained(folder, { gpu, memoryLimit: 2 ** 16 }),
      OutOfMemoryError,
      // Embedding and head 2·408·32, layers 2·(32·(2·32 + 2·16) + 3·32·48 + 2·32), norm 32 floats.
      "the model's weights need 162.6 KiB of GPU memory, 64.00 KiB of 64.00 KiB available",
    );
  });
  assertEquals(gpu.account.live, live);
  await withModel(gpu, { memoryLimit: live + 3e5 }, async (model, tokenizer) => {
    const long = () => all(chat(model, tokenizer, HELLO, { maxNewTokens: 200 }));
    await assertRejects(long, OutOfMemoryError, "tokens of prompt and answer need");
    assert(await all(chat(model, tokenizer, HELLO, { maxNewTokens: 2 })));
  });
});
