/** Shared by requests for answers: OpenAI's parameters, and those without effect. */
import { z } from "../../packages/zod_openapi.ts";
import { VERSION } from "../../product.ts";
import type { GenerationEvent, GenerationRequest } from "../services.ts";

/** In characters; a stop text is compared at every token. */
const LONGEST_STOP = 256;

/** A parameter of OpenAI's that supports only some values; the first is the neutral one. */
export function only(values: readonly unknown[], why: string) {
  const known = values.map((value) => JSON.stringify(value));
  const described: object = {
    anyOf: [...values.filter((value) => value !== null).map(exactly), { type: "null" }],
    description: `Only ${known.join(" or ")}: ${why}`,
  };
  return z.unknown().optional().refine(
    (value) => value === undefined || value === null || known.includes(JSON.stringify(value)),
    { error: ({ input }) => `${shortened(input)} is not supported: ${why}` },
  ).openapi(described);
}

/** In terms that generators of clients know: they ignore a `const` that is a list or an object. */
function exactly(value: unknown): object {
  if (Array.isArray(value)) {
    const [only] = value;
    const items = only === undefined ? {} : exactly(only);
    return { type: "array", items, minItems: value.length, maxItems: value.length };
  }
  if (typeof value !== "object") return { type: typeof value, enum: [value] };
  const fields = Object.entries(value!);
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([name, field]) => [name, exactly(field)])),
    required: fields.map(([name]) => name),
    additionalProperties: false,
  };
}

function shortened(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** A bookkeeping parameter of OpenAI's, which does not affect answers. */
export function ignored() {
  return z.unknown().optional().openapi({ description: "Has no effect here" });
}

const stopText = z.string().min(1).max(LONGEST_STOP);

export const samplingFields = {
  model: z.string().min(1).max(512).openapi({
    description: "Name of a model listed by GET /v1/models",
    example: "ft:llama3:mine:AbCdEfGh",
  }),
  temperature: z.number().min(0).max(2).nullish().openapi({
    description:
      "0 takes the most likely token; the default is that of the model's generation_config.json",
  }),
  top_p: z.number().min(0).max(1).nullish().openapi({
    description: "Sample from the most likely tokens with this total probability",
  }),
  seed: z.number().int().nullish().openapi({
    description:
      "The same seed gives the same answer; only its low 32 bits count. Random by default",
  }),
  stop: z.union([stopText, z.array(stopText).max(4)]).nullish().openapi({
    description: "Up to 4 strings that end the answer; they are not part of it",
  }),
  stream: z.boolean().nullish().openapi({ description: "Stream the answer as server-sent events" }),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: z.boolean().nullish().openapi({ description: "Has no effect here" }),
  }).openapi("StreamOptions").nullish(),
  n: only([1], "one answer per request"),
  frequency_penalty: z.number().min(-2).max(2).nullish().openapi({
    description: "Subtracted from the logit of a token for each time that the answer has it",
  }),
  presence_penalty: z.number().min(-2).max(2).nullish().openapi({
    description: "Subtracted from the logits of tokens that the answer has already",
  }),
  logit_bias: z.record(
    z.string().regex(/^\d{1,9}$/),
    z.number().min(-100).max(100),
    { error: ({ code }) => code === "invalid_key" ? "must be the id of a token" : undefined },
  ).nullish().openapi({ description: "Added to the logits of these token ids" }),
  top_k: z.number().int().min(0).nullish().openapi({
    description:
      "Sample from that many of the most likely tokens, 0: from all; beyond OpenAI's API",
  }),
  min_p: z.number().min(0).max(1).nullish().openapi({
    description: "Sample from tokens of at least this share of the most likely one's " +
      "probability; beyond OpenAI's API",
  }),
  repetition_penalty: z.number().positive().max(10).nullish().openapi({
    description: "Above 1, tokens that the prompt or the answer has already become less likely; " +
      "beyond OpenAI's API",
  }),
  user: ignored(),
};

export type SamplingBody = z.output<z.ZodObject<typeof samplingFields>>;

/** What {@link checkStreaming} refuses, as JSON Schema. */
export const STREAMING_RULE: object = {
  if: { properties: { stream_options: { type: "object" } }, required: ["stream_options"] },
  then: { properties: { stream: { const: true } }, required: ["stream"] },
};

/** For `superRefine`: rules between fields. */
export function checkStreaming(
  { stream, stream_options }: Pick<SamplingBody, "stream" | "stream_options">,
  context: z.RefinementCtx,
): void {
  if (!stream_options || stream) return;
  const message = "requires stream: true";
  context.addIssue({ code: "custom", path: ["stream_options"], message });
}

export function toSampling(body: SamplingBody): Omit<GenerationRequest, "prompt" | "maxTokens"> {
  return {
    model: body.model,
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    repetitionPenalty: body.repetition_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    logitBias: body.logit_bias ?? undefined,
    seed: (body.seed ?? randomSeed()) >>> 0,
    stop: body.stop == null ? undefined : [body.stop].flat(),
  };
}

/** Requests without a seed should get different answers. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

export const finishReasonSchema = z.enum(["stop", "length"]).openapi("FinishReason", {
  description: "It ended or reached a stop string, or reached the token limit",
});

export const usageSchema = z.object({
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  total_tokens: z.number().int(),
}).openapi("CompletionUsage");

export type Done = Extract<GenerationEvent, { readonly type: "done" }>;

export function toUsage({ promptTokens, completionTokens }: Done): z.output<typeof usageSchema> {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** Identifies the version: with another one the same seed may give another answer. */
export const FINGERPRINT = `fp_${VERSION}`;

/** The common fields of all objects of an answer. */
export interface AnswerHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}
