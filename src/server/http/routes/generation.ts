/** Answers of models, complete or streamed; shared by chat and completions. */
import type { Context } from "../../../packages/hono.ts";
import { ApiError } from "../../api_error.ts";
import { newId } from "../../store/ids.ts";
import type { AnswerHead, Done } from "../../protocol/sampling.ts";
import type { GenerationEvent, GenerationRequest, Services } from "../../services.ts";
import { unixSeconds } from "../../store/unix_seconds.ts";
import { requestFields, type ServerEnv } from "../middleware/context.ts";

export type GenerationServices = Pick<Services, "inference" | "serverLog">;

export interface Asked {
  readonly generation: GenerationRequest;
  readonly prefix: "chatcmpl" | "cmpl";
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly shape: Shape;
}

/** The response objects of a protocol. */
export interface Shape {
  whole(head: AnswerHead, text: string, done: Done): object;
  /** Sent before the first piece, if defined. */
  first(head: AnswerHead): object | undefined;
  piece(head: AnswerHead, text: string): object;
  last(head: AnswerHead, done: Done): object;
  usage(head: AnswerHead, done: Done): object;
}

/** Status for a client that has disconnected, as nginx logs it. */
const CLIENT_GONE = 499;

/** Faults before the first piece are thrown as ApiErrors; later ones are sent in the stream. */
export async function respond(
  services: GenerationServices,
  context: Context,
  asked: Asked,
): Promise<Response> {
  const { generation, prefix } = asked, { inference } = services;
  const { signal } = context.req.raw;
  const head = {
    id: newId(prefix),
    created: unixSeconds(),
    model: generation.model,
  };
  try {
    return asked.stream
      ? await respondInPieces(services, context, asked, head)
      : Response.json(await whole(inference.generate(generation, signal), asked.shape, head));
  } catch (error) {
    if (signal.aborted && !(error instanceof ApiError)) {
      return new Response(null, { status: CLIENT_GONE });
    }
    throw error;
  }
}

async function whole(
  events: AsyncIterable<GenerationEvent>,
  shape: Shape,
  head: AnswerHead,
): Promise<object> {
  let text = "";
  for await (const event of events) {
    if (event.type === "done") return shape.whole(head, text, event);
    text += event.text;
  }
  throw new Error("the answer ended early");
}

async function respondInPieces(
  { inference, serverLog }: GenerationServices,
  context: Context,
  asked: Asked,
  head: AnswerHead,
): Promise<Response> {
  const left = new AbortController();
  const signal = AbortSignal.any([context.req.raw.signal, left.signal]);
  const events = inference.generate(asked.generation, signal)[Symbol.asyncIterator]();
  const first = await events.next();
  const lines = linesOf(first, events, asked, head, (error) => {
    if (!signal.aborted) return toApiError(error, serverLog, context);
  });
  const encoder = new TextEncoder();
  const encode = (json: string) => encoder.encode(`data: ${json}\n\n`);
  context.set("lastWords", (fault: ApiError) => encode(JSON.stringify(fault)));
  // Each line is generated once the client has read the previous one: a slow client slows the
  // model.
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (done) controller.close();
      else controller.enqueue(encode(value));
    },
    cancel: () => left.abort(),
  }, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // Otherwise a proxy such as nginx buffers the stream.
      "x-accel-buffering": "no",
    },
  });
}

async function* linesOf(
  first: IteratorResult<GenerationEvent>,
  events: AsyncIterator<GenerationEvent>,
  { shape, includeUsage }: Asked,
  head: AnswerHead,
  faultOf: (error: unknown) => ApiError | undefined,
): AsyncGenerator<string> {
  // If usage comes at the end, every earlier chunk has a null field for it.
  const line = (chunk: object) => JSON.stringify(includeUsage ? { ...chunk, usage: null } : chunk);
  try {
    const opening = shape.first(head);
    if (opening) yield line(opening);
    for (let next = first; !next.done; next = await events.next()) {
      const event = next.value;
      if (event.type === "text") {
        yield line(shape.piece(head, event.text));
        continue;
      }
      yield line(shape.last(head, event));
      if (includeUsage) yield JSON.stringify(shape.usage(head, event));
      yield "[DONE]";
      return;
    }
    throw new Error("the answer ended early");
  } catch (error) {
    // The status has been sent already: clients recognise an error in the stream by its field.
    const fault = faultOf(error);
    if (fault) yield JSON.stringify(fault);
  }
}

function toApiError(
  error: unknown,
  log: GenerationServices["serverLog"],
  context: Context<ServerEnv>,
): ApiError {
  if (error instanceof ApiError) return error;
  log.fault(error, requestFields(context));
  return new ApiError(500, {
    message: "The server failed to process the request.",
    type: "server_error",
    code: "internal_error",
  });
}
