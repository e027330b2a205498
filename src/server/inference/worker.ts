/**
 * The process of a model: opens the GPU, loads one model, and answers one request at a time. It may
 * only read that model's files. A device fault ends it, and the server starts another.
 *
 * @module
 */
import { firstOption, option, spell } from "../../options/phrase.ts";
import { loadModelTokenizer } from "../../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { GpuError, OutOfMemoryError } from "../../gpu/errors.ts";
import { ShapeError } from "../../numbers/shape_error.ts";
import { UserError } from "../../options/user_error.ts";
import { Gpu } from "../../gpu/gpu.ts";
import { type ChatOptions, Conversation } from "../../inference/chat.ts";
import { complete } from "../../inference/complete.ts";
import { ContextLengthError } from "../../inference/context_length.ts";
import type { Answer } from "../../inference/continuation.ts";
import { LlamaForCausalLM } from "../../inference/llama_for_causal_lm.ts";
import { gpuMemoryLimit } from "../../train/gpu_memory.ts";
import { jsonLine, readJsonLines } from "../processes/lines.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { GenerationRequest } from "../services.ts";
import type { Fault, FaultKind, Question, Reply } from "./messages.ts";
import { Permits } from "./permits.ts";

interface Loaded {
  readonly gpu: Gpu;
  readonly model: LlamaForCausalLM;
  readonly tokenizer: Tokenizer;
}

const stdout = Deno.stdout.writable.getWriter();
const send = (reply: Reply) => stdout.write(jsonLine(reply));

async function load({ path, adapter, gpuMemory }: Question & { type: "load" }): Promise<Loaded> {
  const gpu = await Gpu.open();
  const limit = gpuMemoryLimit(gpu, gpuMemory);
  const memoryLimit = Number.isFinite(limit) ? limit : undefined;
  const model = await LlamaForCausalLM.fromPretrained(path, { gpu, adapter, memoryLimit });
  await gpu.settled();
  return { gpu, model, tokenizer: await loadModelTokenizer(path, adapter) };
}

/** The pieces of an answer; `result` returns the complete answer after the last piece. */
function answer(
  { model, tokenizer }: Loaded,
  { prompt, maxTokens, model: _, ...sampling }: GenerationRequest,
  signal: AbortSignal,
): { readonly pieces: AsyncIterable<string>; readonly result: () => Answer } {
  const options: ChatOptions = { ...sampling, maxNewTokens: maxTokens, signal };
  if ("text" in prompt) {
    let result: Answer;
    const pieces = complete(model, tokenizer, prompt.text, options, (answer) => result = answer);
    return { pieces, result: () => result };
  }
  if (tokenizer.chatTemplate === null) {
    throw new MissingTemplateError(
      "the model has no chat template, which a chat needs: use /v1/completions, which " +
        "continues a text literally",
    );
  }
  const conversation = new Conversation(model, tokenizer, options);
  conversation.add(...prompt.messages);
  const pieces = async function* () {
    try {
      yield* conversation.reply(signal);
    } finally {
      conversation.release();
    }
  };
  return { pieces: pieces(), result: () => conversation.answer! };
}

/** A request in progress. */
class Task {
  readonly permits = new Permits();
  readonly #controller = new AbortController();

  abort(): void {
    this.#controller.abort();
  }

  async run(loaded: Loaded, request: GenerationRequest): Promise<void> {
    const { signal } = this.#controller;
    try {
      const { pieces, result } = answer(loaded, request, signal);
      for await (const text of pieces) {
        await this.permits.take(signal);
        await send({ type: "text", text });
      }
      await this.permits.take(signal);
      const { finishReason, promptTokens, tokenIds } = result();
      await send({
        type: "done",
        finishReason: finishReason === "length" ? "length" : "stop",
        promptTokens,
        completionTokens: tokenIds.length,
      });
    } catch (error) {
      if (signal.aborted) return await send({ type: "aborted" });
      await send(codedFault(error, request) ?? faultOf(error));
      if (kindOf(error) !== "request") Deno.exit(1);
    }
  }
}

class MissingTemplateError extends UserError {}

/** A fault that clients know by its code. */
function codedFault(error: unknown, { model, prompt }: GenerationRequest): Fault | undefined {
  const fault = { type: "fault", kind: "request" } as const;
  if (error instanceof MissingTemplateError) {
    const message = `model ${model}: ${error.message}`;
    return { ...fault, message, code: "missing_chat_template", param: "model" };
  }
  if (!(error instanceof ContextLengthError)) return faultOfOption(error, model);
  // Clients recognise OpenAI's message, too.
  const { positions, promptTokens, answerTokens } = error;
  const param = "text" in prompt ? "prompt" : "messages";
  const asked = answerTokens === undefined
    ? `your ${param} resulted in ${promptTokens} tokens`
    : `you requested ${promptTokens + answerTokens} tokens (${promptTokens} in the ${param}, ` +
      `${answerTokens} in the completion)`;
  return {
    ...fault,
    message: `This model's maximum context length is ${positions} tokens. However, ${asked}. ` +
      `Please reduce the length of the ${param}${
        answerTokens === undefined ? "" : " or completion"
      }.`,
    code: "context_length_exceeded",
    param,
  };
}

/** Only the model shows that a value cannot be: a token that its vocabulary does not have. */
function faultOfOption(error: unknown, model: string): Fault | undefined {
  if (!(error instanceof UserError) || kindOf(error) !== "request") return undefined;
  const { message } = error.explanation, named = firstOption(message);
  if (named === undefined) return undefined;
  return {
    type: "fault",
    kind: "request",
    message: `model ${model}: ${spell(message, REQUEST)}`,
    code: "invalid_value",
    param: spell([option(named)], REQUEST),
  };
}

function faultOf(error: unknown): Fault {
  const kind = kindOf(error);
  if (kind === "internal") console.error(error);
  const message = error instanceof UserError
    ? spell(error.explanation.message, REQUEST)
    : "an internal fault; see the server's log";
  return { type: "fault", kind, message };
}

function kindOf(error: unknown): FaultKind {
  if (error instanceof OutOfMemoryError) return "memory";
  const ours = error instanceof GpuError || error instanceof ShapeError;
  return error instanceof UserError && !ours ? "request" : "internal";
}

let loaded: Loaded | undefined, task: Task | undefined;
for await (const message of readJsonLines<Question>(Deno.stdin.readable)) {
  if (message.type === "load") {
    try {
      loaded = await load(message);
      await send({ type: "loaded" });
    } catch (error) {
      await send(faultOf(error));
      Deno.exit(1);
    }
  } else if (message.type === "generate") {
    task = new Task();
    void task.run(loaded!, message.request);
  } else if (message.type === "more") {
    task?.permits.add();
  } else {
    task?.abort();
  }
}
// stdin has ended: the server is gone.
Deno.exit(0);
