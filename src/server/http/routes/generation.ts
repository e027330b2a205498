/** Answers of models, complete or streamed; shared by chat and completions. */
import { ApiError } from "../../api_error.ts";
import { newId } from "../../store/ids.ts";
import type { AnswerHead, Done } from "../../protocol/sampling.ts";
import type { GenerationEvent, GenerationRequest, Inference } from "../../services.ts";
import { unixSeconds } from "../../store/unix_seconds.ts";

export interface Asked {
  readonly generation: GenerationRequest;
  readonly prefix: "chatcmpl" | "cmpl";
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
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
export async function respond(inference: Inference, asked: Asked): Promise<Response> {
  const { generation, prefix, signal } = asked;
  const head = {
    id: newId(prefix),
    created: unixSeconds(),
    model: generation.model,
  };
  try {
    return asked.stream
      ? await respondInPieces(inference, asked, head)
      : Response.json(await whole(inference.generate(generation, signal), asked.shape, head));
  } catch (error) {
    if (signal.aborted) return new Response(null, { status: CLIENT_GONE });
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
  inference: Inference,
  asked: Asked,
  head: AnswerHead,
): Promise<Response> {
  const left = new AbortController();
  const signal = AbortSignal.any([asked.signal, left.signal]);
  const events = inference.generate(asked.generation, signal)[Symbol.asyncIterator]();
  const first = await events.next();
  const lines = linesOf(first, events, asked, head);
  const encoder = new TextEncoder();
  // Each line is generated once the client has read the previous one: a slow client slows the
  // model.
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`data: ${value}\n\n`));
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
  { shape, includeUsage, signal }: Asked,
  head: AnswerHead,
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
    if (!signal.aborted) yield JSON.stringify(faultOf(error));
  }
}

function faultOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError(500, {
    message: "The server failed to process the request.",
    type: "server_error",
    code: "internal_error",
  });
}
