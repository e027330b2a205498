/** `/v1/chat/completions` in OpenAI's shapes. */
import { z } from "../../packages/zod_openapi.ts";
import type { GenerationRequest } from "../services.ts";
import {
  type AnswerHead,
  checkStreaming,
  type Done,
  FINGERPRINT,
  finishReasonSchema,
  ignored,
  only,
  samplingFields,
  STREAMING_RULE,
  toSampling,
  toUsage,
  usageSchema,
} from "./sampling.ts";
import { quoted } from "../../text.ts";

const ROLES = ["system", "developer", "user", "assistant"] as const;

const textPart = z.strictObject({
  type: z.literal("text", {
    error: ({ input }) => `${quoted(input)} is not supported: models here read only text`,
  }),
  text: z.string(),
});

/** A text, or parts of one. */
const content = z.preprocess(
  (value) => typeof value === "string" ? [{ type: "text", text: value }] : value,
  z.array(textPart, 'must be a string, or a list of parts {type: "text", text}').min(1),
).openapi({
  anyOf: [
    { type: "string" },
    {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        properties: { type: { type: "string", const: "text" }, text: { type: "string" } },
        required: ["type", "text"],
        additionalProperties: false,
      },
    },
  ],
});

const NO_TOOLS = "models here do not call functions", NO_AUDIO = "models here write only text";

const messageSchema = z.strictObject({
  role: z.enum(ROLES, {
    error: ({ input }) => `${quoted(input)} is not supported: a role is one of ${ROLES.join(", ")}`,
  }).openapi({ description: "`developer` is the same as `system`" }),
  content,
  name: ignored(),
  // Present in answers that a client sends back unchanged.
  refusal: only([null], "refusals are not supported"),
  annotations: only([[]], "annotations are not supported"),
  audio: only([null], NO_AUDIO),
  tool_calls: only([[]], NO_TOOLS),
  function_call: only([null], NO_TOOLS),
}).openapi("ChatMessage");

const tokens = z.number().int().min(1).nullish();

export const chatRequestSchema = z.strictObject({
  ...samplingFields,
  messages: z.array(messageSchema).min(1).openapi({
    description: "The conversation so far, rendered with the model's chat template",
  }),
  max_completion_tokens: tokens.openapi({
    description: "Maximum tokens of the answer: refused if they exceed the model's positions " +
      "with the prompt; by default the model's own setting, or 512, and fewer if no more fit",
  }),
  max_tokens: tokens.openapi({ description: "The older name of max_completion_tokens" }),
  response_format: only([{ type: "text" }], "structured answers are not supported"),
  logprobs: only([false], "log-probabilities are not supported"),
  top_logprobs: only([0], "log-probabilities are not supported"),
  modalities: only([["text"]], NO_AUDIO),
  audio: only([null], NO_AUDIO),
  tools: only([[]], NO_TOOLS),
  tool_choice: only(["none", "auto"], NO_TOOLS),
  functions: only([[]], NO_TOOLS),
  function_call: only(["none", "auto"], NO_TOOLS),
  web_search_options: only([null], "web search is not supported"),
  reasoning_effort: only(["none"], "separate reasoning is not supported"),
  verbosity: only(["medium"], "verbosity is not supported"),
  parallel_tool_calls: ignored(),
  prediction: ignored(),
  metadata: ignored(),
  store: ignored(),
  service_tier: ignored(),
  safety_identifier: ignored(),
  prompt_cache_key: ignored(),
  prompt_cache_retention: ignored(),
}).superRefine(checkStreaming).openapi("CreateChatCompletionRequest", STREAMING_RULE);

export function toChatGeneration(body: z.output<typeof chatRequestSchema>): GenerationRequest {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? undefined;
  return {
    ...toSampling(body),
    maxTokens,
    mustFit: maxTokens !== undefined,
    prompt: {
      messages: body.messages.map(({ role, content }) => ({
        role: role === "developer" ? "system" : role,
        content: content.map(({ text }) => text).join(""),
      })),
    },
  };
}

const headFields = {
  id: z.string().openapi({ example: "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx" }),
  created: z.number().int().openapi({ description: "Unix seconds" }),
  model: z.string(),
  system_fingerprint: z.string(),
};

export const chatCompletionSchema = z.object({
  ...headFields,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal("assistant"),
        content: z.string(),
        refusal: z.null(),
      }).openapi("ChatAnswer"),
      logprobs: z.null(),
      finish_reason: finishReasonSchema,
    }).openapi("ChatChoice"),
  ),
  usage: usageSchema,
}).openapi("ChatCompletion");

export const chatChunkSchema = z.object({
  ...headFields,
  object: z.literal("chat.completion.chunk"),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({
        role: z.literal("assistant").optional(),
        content: z.string().optional(),
        refusal: z.null().optional(),
      }).openapi("ChatDelta"),
      logprobs: z.null(),
      finish_reason: finishReasonSchema.nullable(),
    }).openapi("ChatChunkChoice"),
  ).openapi({ description: "Empty in the chunk that reports usage" }),
  usage: usageSchema.nullish(),
}).openapi("ChatCompletionChunk");

export function toChatCompletion(
  head: AnswerHead,
  content: string,
  done: Done,
): z.output<typeof chatCompletionSchema> {
  return {
    ...head,
    object: "chat.completion",
    choices: [{
      index: 0,
      message: { role: "assistant", content, refusal: null },
      logprobs: null,
      finish_reason: done.finishReason,
    }],
    usage: toUsage(done),
    system_fingerprint: FINGERPRINT,
  };
}

/** A chunk for the start of the stream, for a piece of text, or for the end. */
export function toChatChunk(
  head: AnswerHead,
  part: { readonly text?: string; readonly done?: Done },
): z.output<typeof chatChunkSchema> {
  const { text, done } = part;
  const delta = done
    ? {}
    : text === undefined
    ? { role: "assistant" as const, content: "", refusal: null }
    : { content: text };
  return {
    ...chunk(head),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: done?.finishReason ?? null }],
  };
}

export function toChatUsageChunk(head: AnswerHead, done: Done): z.output<typeof chatChunkSchema> {
  return { ...chunk(head), choices: [], usage: toUsage(done) };
}

function chunk(head: AnswerHead) {
  return { ...head, object: "chat.completion.chunk" as const, system_fingerprint: FINGERPRINT };
}
