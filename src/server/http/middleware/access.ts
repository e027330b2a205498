/**
 * Ends requests in progress whose access ends: their key was revoked, by whatever process, or they
 * came without one and the server now needs one.
 *
 * @module
 */
import { createMiddleware } from "../../../packages/hono.ts";
import { unlessAborted } from "../../../train/unless_aborted.ts";
import type { ApiError } from "../../api_error.ts";
import type { ServerLog } from "../../server_log.ts";
import { unauthorized } from "./authenticate.ts";
import type { ServerEnv } from "./context.ts";

/** Milliseconds between checks, while requests are in progress. */
const CHECK_MS = 200;

export interface AccessOptions {
  readonly keys: { activeIds(): ReadonlySet<string> };
  /** Whether no key is needed. */
  readonly open: () => boolean;
  readonly isPublic: (path: string) => boolean;
  readonly log: ServerLog;
}

/**
 * Handlers find in `context.req.raw.signal` what aborts when the client leaves or its access ends;
 * then the reason is the ApiError that it gets. A handler that does not notice is not waited for,
 * and a response that streams is cut: see `lastWords` in {@link ServerEnv}.
 */
export function endWithAccess({ keys, open, isPublic, log }: AccessOptions) {
  const watch = new AccessWatch(keys, open, log);
  return createMiddleware<ServerEnv>(async (context, next) => {
    if (isPublic(context.req.path)) return await next();
    const { raw } = context.req, { signal, release } = watch.hold(context.get("key")?.id);
    context.req.raw = new Request(raw, {
      signal: AbortSignal.any([raw.signal, signal]),
      body: raw.body?.pipeThrough(new TransformStream(), { signal }),
    });
    try {
      await unlessAborted(next(), signal);
    } catch (error) {
      release();
      throw error;
    }
    const { body } = context.res;
    if (!body || !streams(context.res)) return release();
    const lastWords = context.get("lastWords");
    context.res = new Response(
      endedBy(signal, body, {
        lastWords: (fault) => lastWords?.(fault),
        mayClose: isEventStream(context.res) || context.res.headers.has("content-length"),
        onEnd: release,
      }),
      context.res,
    );
  });
}

/** Keys of requests in progress, checked together. */
class AccessWatch {
  readonly #held = new Map<AbortController, string | undefined>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #unreadable = false;

  constructor(
    readonly keys: AccessOptions["keys"],
    readonly open: AccessOptions["open"],
    readonly log: ServerLog,
  ) {}

  /** The signal aborts when the key is revoked, until it is released. */
  hold(keyId: string | undefined): { readonly signal: AbortSignal; readonly release: () => void } {
    const controller = new AbortController();
    this.#held.set(controller, keyId);
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS);
    return { signal: controller.signal, release: () => this.#release(controller) };
  }

  #release(controller: AbortController): void {
    this.#held.delete(controller);
    if (this.#held.size) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    try {
      const active = this.keys.activeIds(), open = this.open();
      for (const [controller, keyId] of this.#held) {
        if (keyId === undefined ? open : active.has(keyId)) continue;
        this.#release(controller);
        controller.abort(accessEnded(keyId !== undefined));
      }
      this.#unreadable = false;
    } catch (error) {
      // Nobody can be let in either; say so once.
      if (!this.#unreadable) this.log.fault(error);
      this.#unreadable = true;
    }
  }
}

function accessEnded(hadKey: boolean): ApiError {
  const message = hadKey
    ? "The API key has been revoked."
    : "The server needs an API key now: send one as `Authorization: Bearer YOUR_KEY`.";
  // The rest of a body is not awaited.
  return unauthorized(message, { connection: "close" });
}

const isEventStream = ({ headers }: Response) =>
  headers.get("content-type")?.startsWith("text/event-stream") ?? false;

/** Anything but an event stream or a file is written at once. */
const streams = (response: Response) =>
  isEventStream(response) || response.headers.has("content-disposition");

/** The same bytes, until the signal aborts. */
function endedBy(
  signal: AbortSignal,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { lastWords, mayClose, onEnd }: {
    readonly lastWords: (fault: ApiError) => Uint8Array<ArrayBuffer> | undefined;
    /** Whether its reader does not take an early end for a complete one. */
    readonly mayClose: boolean;
    readonly onEnd: () => void;
  },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let cut = () => {};
  const finish = () => {
    signal.removeEventListener("abort", cut);
    onEnd();
  };
  return new ReadableStream({
    start(controller) {
      cut = () => {
        finish();
        reader.cancel(signal.reason).catch(() => {}); // it is over either way
        const words = lastWords(signal.reason);
        if (words) controller.enqueue(words);
        if (mayClose) controller.close();
        else controller.error(signal.reason);
      };
      if (signal.aborted) cut();
      else signal.addEventListener("abort", cut);
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (signal.aborted) return;
        if (!done) return controller.enqueue(value);
        finish();
        controller.close();
      } catch (error) {
        if (signal.aborted) return;
        finish();
        controller.error(error);
      }
    },
    cancel(reason) {
      finish();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
