/**
 * What the compiler says of options that a program writes. `deno task types` checks this file: a line
 * below `@ts-expect-error` that compiles is an error there.
 */
import {
  BatchStream,
  chat,
  type ChatModel,
  type FinetuneInput,
  finetuneOptions,
  type Gpu,
  memoryOptions,
  type Message,
  type PretrainInput,
  pretrainOptions,
  readConfigFile,
  type Tokenizer,
  Trainer,
} from "../../mod.ts";
import { serve } from "../../server.ts";
import { assertEquals } from "@std/assert";

const RUN = { model: "llama_nano", data: ["a.txt"], output: "run" };

/** Never called: what matters is whether it compiles. */
export async function programs(gpu: Gpu, model: ChatModel, tokenizer: Tokenizer): Promise<void> {
  await Trainer.pretrain(gpu, { ...RUN, steps: 5, tokenizer: "bytes", rank: "auto" });
  await Trainer.finetune(gpu, { ...RUN, saveEvery: "epoch", optimizer: "galore_adamw_8bit" });
  // What parse returns, and a copy of it.
  const parsed = pretrainOptions.parse({ ...RUN, steps: 5 });
  await Trainer.pretrain(gpu, parsed);
  await Trainer.pretrain(gpu, { ...parsed, resume: "auto" });
  await Trainer.pretrain(gpu, { ...RUN, data: ["a", "b"] as const, steps: undefined });
  const written: PretrainInput = { ...RUN, dtype: "float32" };
  await Trainer.pretrain(gpu, written);

  // @ts-expect-error no option of that name
  await Trainer.pretrain(gpu, { ...RUN, stepz: 5 });
  // @ts-expect-error no option of that name, though it stands elsewhere
  await Trainer.pretrain(gpu, { ...RUN, ...{ stepz: 5 } });
  const misspelt = { ...RUN, batchsize: 5 };
  // @ts-expect-error no option of that name, though it stands elsewhere
  await Trainer.finetune(gpu, misspelt);
  // @ts-expect-error no option of that name
  await Trainer.finetune(gpu, { ...misspelt, steps: 5 });
  // @ts-expect-error a number
  await Trainer.pretrain(gpu, { ...RUN, steps: "5" });
  // @ts-expect-error no such word
  await Trainer.pretrain(gpu, { ...RUN, scheduler: "cosinus" });
  // @ts-expect-error no such method
  await Trainer.pretrain(gpu, { ...RUN, optimizer: "adam" });
  // @ts-expect-error no such module
  await Trainer.finetune(gpu, { ...RUN, loraTarget: ["query"] });
  // @ts-expect-error data is needed
  await Trainer.pretrain(gpu, { from: "base", output: "run" });
  // @ts-expect-error an option of fine-tuning
  await Trainer.pretrain(gpu, { ...RUN, template: "chatml" });
  // @ts-expect-error an option of pre-training
  finetuneOptions.parse({ ...RUN, shuffleBuffer: 5 });
  // @ts-expect-error no option of that name
  pretrainOptions.parse({ ...RUN, stepz: 5 });
  // @ts-expect-error a word or a number
  memoryOptions.parse({ model: "llama_7b", rank: "some" });
  // @ts-expect-error no option of that name
  const _typed: FinetuneInput = { ...RUN, stepz: 5 };
  // @ts-expect-error no option of that name
  await readConfigFile("run.yaml", pretrainOptions, { stepz: 5 });

  // Data in memory.
  const messages: readonly Message[] = [{ role: "user", content: "Hello" }];
  await Trainer.finetune(gpu, { ...RUN, data: [{ messages }] });
  await Trainer.finetune(gpu, { ...RUN, data: ["a.jsonl", new Set(["a text"])] });
  await Trainer.finetune(gpu, { ...RUN, data: { rows: [{ q: 1 }], columns: { prompt: "q" } } });
  await Trainer.pretrain(gpu, { ...RUN, data: await fetch("https://example.org/texts.jsonl") });
  await Trainer.pretrain(gpu, {
    ...RUN,
    *data() {
      yield "a text";
    },
  });
  // @ts-expect-error neither texts nor records
  await Trainer.pretrain(gpu, { ...RUN, data: [1, 2] });
  // @ts-expect-error a promise
  await Trainer.pretrain(gpu, { ...RUN, data: fetch("https://example.org/texts.jsonl") });

  // Other functions take interfaces.
  const stream = { data: ["a.txt"], split: "train", tokenizer, batchSize: 1, seqLen: 8 } as const;
  // @ts-expect-error no option of that name
  await BatchStream.open({ ...stream, shuffle: 5 });
  // @ts-expect-error no option of that name
  chat(model, tokenizer, [...messages], { temprature: 0 });
  // @ts-expect-error no option of that name
  await serve({ prot: 8000 }, { signal: new AbortController().signal });
}

Deno.test("parsed options are returned as they are, and copies keep what was filled in", () => {
  const parsed = pretrainOptions.parse({ ...RUN, steps: 50 });
  assertEquals(parsed.warmupSteps, 5);
  assertEquals(pretrainOptions.parse(parsed) === parsed, true);
  const copy = pretrainOptions.parse({ ...parsed, steps: 80 });
  assertEquals([copy.steps, copy.warmupSteps, copy.lr], [80, 5, parsed.lr]);
});
