/** `generate`: continues a text with a trained model, or chats with it. */
import { z } from "../packages/zod.ts";
import { readMessages } from "../data/instruct/messages_file.ts";
import { chatTemplate, TEMPLATE_NAMES } from "../data/instruct/templates.ts";
import { vocabularyWarnings } from "../tokenizers/check_tokenizer.ts";
import { loadModelTokenizer } from "../tokenizers/load_tokenizer.ts";
import { TEXT_SAMPLING } from "../formats/generation_config.ts";
import { UserError } from "../options/user_error.ts";
import { Conversation } from "../inference/chat.ts";
import { samplingFor, textSampling } from "../inference/default_sampling.ts";
import { trainedFields } from "../train/fields.ts";
import { defineOptions, type Rule, section, wasGiven } from "../options/schema.ts";
import { FLAGS } from "../options/spelling.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { foundModel, loadModel } from "./found_model.ts";
import { openGpu } from "./open_gpu.ts";
import { untilInterrupted } from "./stopped_text.ts";
import { showCompiling } from "./working.ts";
import { converse } from "./repl.ts";
import { MOST_TOKENS, Texts } from "./texts.ts";

const { temperature, topP, topK } = TEXT_SAMPLING;
const own = (text: string) => `the model's own setting, or ${text}`;
const inText = (text: number, chat: number) => own(`${text} for a text, ${chat} in a chat`);

const rules: Rule[] = [
  ({ messages, prompt }) =>
    messages !== undefined && prompt !== undefined
      ? {
        option: "prompt",
        message: "cannot be combined with --messages, which contains the prompt",
      }
      : undefined,
  ...["system", "template"].map((option): Rule => ({ chat, messages, prompt }, given) =>
    given[option] !== undefined && prompt !== undefined && !chat && messages === undefined
      ? { option, message: "needs --chat: a --prompt alone is continued literally" }
      : undefined
  ),
];

const options = defineOptions({
  fields: {
    ...trainedFields,
    ...section("Text", {
      prompt: z.string().optional().describe("text to continue or, with --chat, to answer")
        .meta({ derived: "stdin; at a terminal, a conversation" }),
      chat: z.boolean().default(false).describe(
        "treat the prompt as a user's message and apply the model's chat template",
      ),
      messages: z.string().min(1).optional().describe(
        "JSON file with a conversation to answer, in OpenAI's format",
      ).meta({ value: "file" }),
      system: z.string().optional().describe("system message of the chat"),
      template: z.string().min(1).default("default").describe(
        `chat template: the tokenizer's own, or one of ${TEMPLATE_NAMES.slice(1).join(", ")}`,
      ).meta({ value: "name" }),
      maxNewTokens: z.number().int().min(1).optional().describe(
        "maximum number of tokens to generate",
      )
        .meta({ derived: own(`${MOST_TOKENS}; in a chat, 512`) }),
      temperature: z.number().min(0).optional().describe(
        "sampling temperature; 0 always takes the most likely token",
      ).meta({ derived: inText(temperature, 0) }),
      topP: z.number().gt(0).max(1).optional().describe(
        "sample from the most likely tokens with this total probability; 1: from all",
      ).meta({ derived: inText(topP, 1) }),
      topK: z.number().int().min(0).optional().describe(
        "sample from this many of the most likely tokens; 0: from all",
      ).meta({ derived: inText(topK, 0) }),
      minP: z.number().min(0).max(1).optional().describe(
        "sample from tokens of at least this share of the most likely one's probability",
      ).meta({ derived: own("0") }),
      repetitionPenalty: z.number().positive().optional().describe(
        "above 1, tokens that already occur become less likely",
      ).meta({ derived: own("1.1 for a text of words or their parts, otherwise 1") }),
      seed: z.number().int().min(0).max(0xffffffff).default(42).describe("seed for sampling"),
    }),
  },
  rules,
});
/** Options that only a temperature above 0 gives a meaning. */
const SAMPLING = ["topP", "topK", "minP", "seed"] as const;

export type GenerateOptions = ReturnType<typeof options.parse>;

export const generate: Command = {
  name: "generate",
  summary: "continue a text with a trained model, or chat with it",
  details:
    "At a terminal without --prompt it starts a chat, or continues what is typed if the model has " +
    "no chat template: Ctrl-C stops an answer, Ctrl-C twice or Ctrl-D exits. With --json it prints " +
    "one object per answer.",
  examples: [
    'generate --model runs/nano --prompt "Once upon a time"',
    "generate --model hf:HuggingFaceTB/SmolLM2-135M-Instruct",
    'generate --model model.gguf --adapter runs/ft/adapter --chat --prompt "Name a planet."',
  ],
  opensGpu: true,
  options,
  run,
};

async function run(options: GenerateOptions, io: Io): Promise<number> {
  const { messages: file, chat } = options;
  // Validate the input before loading the weights.
  const dialogue = file === undefined ? undefined : await readMessages(file);
  if (dialogue?.messages[0].role === "system" && options.system !== undefined) {
    throw new UserError(`--system: ${file} already has a system message`);
  }
  const typed = !dialogue && options.prompt === undefined && io.input.interactive;
  const prompt = dialogue || typed ? undefined : options.prompt ?? await readPrompt(io);
  const forChat = options.system !== undefined || options.template !== "default";
  const { model: folder, adapter } = await foundModel(options, io);
  const gpu = await openGpu(io);
  try {
    const tokenizer = await loadModelTokenizer(folder, adapter);
    const plain = typed
      ? !chat && !forChat && tokenizer.chatTemplate === null
      : prompt !== undefined && !chat;
    if (plain && forChat) {
      throw new UserError(
        "--system and --template need --chat: stdin alone is continued literally",
      );
    }
    // Fail before loading, and perhaps downloading, the weights.
    if (!plain) chatTemplate(options.template, tokenizer);
    if (typed) io.log(`loading ${options.model}`);
    const model = await loadModel(folder, { gpu, ...options, adapter }, io);
    const names = { tokenizer: adapter ?? folder, model: folder };
    const unknown = vocabularyWarnings(tokenizer, model.config, names);
    const otherwise = plain ? textSampling(tokenizer) : undefined;
    const sampling = samplingFor(options, model.generation, otherwise);
    const idle = sampling.temperature === 0 ? idleSampling(options) : [];
    for (const warning of [...model.warnings, ...tokenizer.warnings, ...unknown, ...idle]) {
      io.log(`warning: ${warning}`);
    }
    const onCompile = showCompiling(io);
    if (plain) {
      const { seed, maxNewTokens = model.generation.maxNewTokens ?? MOST_TOKENS } = options;
      const texts = new Texts(model, tokenizer, { ...sampling, seed, maxNewTokens, onCompile });
      return typed ? await texts.converse(io) : await texts.write(prompt!, io);
    }
    const conversation = new Conversation(model, tokenizer, {
      ...options,
      tools: dialogue?.tools,
      onCompile,
    });
    if (typed) return await converse(conversation, io);
    conversation.add(...dialogue?.messages ?? [{ role: "user", content: prompt! }]);
    return await answer(conversation, io);
  } finally {
    gpu.close();
  }
}

/** Warnings about options that a temperature of 0 ignores. */
function idleSampling(options: GenerateOptions): string[] {
  return SAMPLING.filter((name) => wasGiven(options, name)).map((name) =>
    `${FLAGS.one({ option: name })} has no effect: temperature 0 always takes the most likely token`
  );
}

async function readPrompt(io: Io): Promise<string> {
  // Drop the newline that `echo` appends.
  const text = (await io.input.text()).replace(/\r?\n$/, "");
  if (text) return text;
  throw new UserError(
    "no prompt: stdin is empty",
    "pass --prompt or --messages, or run it at a terminal to chat",
  );
}

/** Answers a dialogue once. */
async function answer(conversation: Conversation, io: Io): Promise<number> {
  await untilInterrupted(io, async () => {
    for await (const piece of conversation.reply(io.signal)) io.text(piece);
  });
  const { text = "", tokenIds = [] } = conversation.answer ?? {};
  io.result({ text, token_ids: tokenIds }, "");
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}
