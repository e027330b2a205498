/** `/v1/completions` in OpenAI's shapes. */
import { z } from "../../packages/zod_openapi.ts";
import type { GenerationRequest } from "../services.ts";
import {
  type AnswerHead,
  checkStreaming,
  type Done,
  FINGERPRINT,
  finishReasonSchema,
  only,
  samplingFields,
  STREAMING_RULE,
  toSampling,
  toUsage,
  usageSchema,
} from "./sampling.ts";

/** OpenAI's default. */
const DEFAULT_TOKENS = 16;

const PROMPT =
  "must be a string, or a list with one: token ids and multiple prompts are not supported";

export const completionRequestSchema = z.strictObject({
  ...samplingFields,
  prompt: z.union([z.string(), z.array(z.string()).length(1)], PROMPT).openapi({
    description: "The text to continue",
  }),
  max_tokens: z.number().int().min(1).nullish().openapi({
    description: "Maximum tokens to generate: refused if they exceed the model's positions with " +
      `the prompt; ${DEFAULT_TOKENS} by default, and fewer if no more fit`,
  }),
  echo: z.boolean().nullish().openapi({ description: "Include the prompt in the answer" }),
  best_of: only([1], "one answer per request"),
  logprobs: only([null], "log-probabilities are not supported"),
  suffix: only([""], "texts are only continued at their end"),
}).superRefine(checkStreaming).openapi("CreateCompletionRequest", STREAMING_RULE);

export type CompletionBody = z.output<typeof completionRequestSchema>;

export function promptOf({ prompt }: CompletionBody): string {
  return typeof prompt === "string" ? prompt : prompt[0];
}

export function toCompletionGeneration(body: CompletionBody): GenerationRequest {
  return {
    ...toSampling(body),
    maxTokens: body.max_tokens ?? DEFAULT_TOKENS,
    mustFit: typeof body.max_tokens === "number",
    prompt: { text: promptOf(body) },
  };
}

export const completionSchema = z.object({
  id: z.string().openapi({ example: "cmpl-AbCdEfGhIjKlMnOpQrStUvWx" }),
  object: z.literal("text_completion"),
  created: z.number().int().openapi({ description: "Unix seconds" }),
  model: z.string(),
  choices: z.array(
    z.object({
      text: z.string(),
      index: z.literal(0),
      logprobs: z.null(),
      finish_reason: finishReasonSchema.nullable().openapi({ description: "Null until the end" }),
    }).openapi("CompletionChoice"),
  ).openapi({ description: "Empty in the chunk that reports usage" }),
  usage: usageSchema.nullish(),
  system_fingerprint: z.string(),
}).openapi("Completion");

type Completion = z.output<typeof completionSchema>;

/** A complete answer or a piece; `done` with the last one. */
export function toCompletion(head: AnswerHead, text: string, done?: Done): Completion {
  const finish_reason = done?.finishReason ?? null;
  return { ...base(head), choices: [{ text, index: 0, logprobs: null, finish_reason }] };
}

export function toCompletionUsage(head: AnswerHead, done: Done): Completion {
  return { ...base(head), choices: [], usage: toUsage(done) };
}

function base(head: AnswerHead) {
  return { ...head, object: "text_completion" as const, system_fingerprint: FINGERPRINT };
}
