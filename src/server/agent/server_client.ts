/** A worker's calls of its server, which may be away for a while. */
import type { ServerLog } from "../server_log.ts";

/** The server has answered, and refuses. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(message: string, readonly status: number, readonly code: string | null) {
    super(message);
  }
}

/** Milliseconds between attempts: at first, and at most. */
const FIRST_MS = 200, LONGEST_MS = 5000;
/** Milliseconds without an answer after which a call without a file is made again. */
const ANSWER_MS = 30_000;

export interface ClientOptions {
  readonly server: string;
  readonly key: string | undefined;
  readonly log: ServerLog;
}

export interface Call {
  readonly body?: unknown;
  /** A file's bytes, opened anew for each attempt. */
  readonly file?: () => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call, and its attempts. */
  readonly signal: AbortSignal;
  /** Milliseconds of one attempt; by default those of a small answer. */
  readonly timeout?: number;
}

export class ServerClient {
  readonly #base: string;
  #away = false;

  constructor(readonly options: ClientOptions) {
    this.#base = `${options.server.replace(/\/+$/, "")}/v1/workers`;
  }

  async json<Answer>(method: string, path: string, call: Call): Promise<Answer> {
    return await this.call(method, path, call, (response) => response.json());
  }

  /**
   * Tries until the server answers and `read` has read all of it. Throws a {@link Refusal} for an
   * answer that another attempt would not change, and the signal's reason.
   */
  async call<Result>(
    method: string,
    path: string,
    { body, file, headers, signal, timeout = ANSWER_MS }: Call,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const { key } = this.options;
    for (let wait = FIRST_MS;; wait = Math.min(2 * wait, LONGEST_MS)) {
      signal.throwIfAborted();
      try {
        const response = await fetch(this.#base + path, {
          method,
          body: file ? await file() : body === undefined ? undefined : JSON.stringify(body),
          headers: {
            ...(key && { authorization: `Bearer ${key}` }),
            ...(body !== undefined && { "content-type": "application/json" }),
            ...headers,
          },
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        });
        if (!response.ok) await refuse(response);
        const result = await read(response);
        this.#isBack();
        return result;
      } catch (error) {
        if (error instanceof Refusal) throw error;
        signal.throwIfAborted();
        this.#isAway(error as Error);
        await delay(wait, signal);
      }
    }
  }

  #isAway({ message }: Error): void {
    if (this.#away) return;
    this.#away = true;
    this.options.log.warn(`the server does not answer (${message}): trying again`);
  }

  #isBack(): void {
    if (this.#away) this.options.log.info("the server answers again");
    this.#away = false;
  }
}

/** Throws a {@link Refusal} for what will stay so, and another error for what may pass. */
async function refuse(response: Response): Promise<never> {
  const text = await response.text();
  let error: { message?: string; code?: string | null } = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch { /* the answer of a proxy */ }
  const message = error.message ?? `${response.status} ${text.slice(0, 200)}`;
  const mayPass = response.status >= 500 && error.code !== "unavailable" ||
    response.status === 429 || response.status === 408 || error.code === "incomplete_body";
  if (mayPass) throw new Error(message);
  throw new Refusal(message, response.status, error.code ?? null);
}

/** Ends early with the signal. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
