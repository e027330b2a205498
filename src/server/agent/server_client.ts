/** A worker's calls of its server, which may be away for a while. */
import { ApiError } from "../api_error.ts";
import type { ServerLog } from "../server_log.ts";
import { Interruption, Watch, type Watched } from "./watch.ts";

/** The server has answered, and refuses. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  constructor(message: string, readonly status: number, readonly code: string | null) {
    super(message);
  }
}

/** Milliseconds between attempts: at first, and at most. */
const FIRST_MS = 200, LONGEST_MS = 5000;
/** Milliseconds of silence after which a call is made again. */
const ANSWER_MS = 30_000;
/** The same of a call with a file: whoever has all of it may have to sync it first. */
export const FILE_MS = 300_000;
/** How often a file that came damaged is sent again. */
const AGAIN = 2;

export interface ClientOptions {
  readonly server: string;
  readonly key: string | undefined;
  readonly log: ServerLog;
}

export interface Call {
  readonly body?: unknown;
  /** Path of a file that is sent. */
  readonly file?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call, and its attempts. */
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which it is made again; by default those of a small answer. */
  readonly silence?: number;
}

type Read<Result> = (response: Response) => Promise<Result>;

export class ServerClient {
  readonly #base: string;
  #away = false;

  constructor(readonly options: ClientOptions) {
    this.#base = `${options.server.replace(/\/+$/, "")}/v1/workers`;
  }

  /** As {@link call}; an answer that is not JSON is none of the server's, and a {@link Refusal}. */
  async json<Answer>(method: string, path: string, call: Call): Promise<Answer> {
    return await this.call(method, path, call, async (response) => {
      const text = await response.text();
      try {
        return JSON.parse(text);
      } catch {
        throw new Refusal(`${response.status} ${text.slice(0, 200)}`, response.status, null);
      }
    });
  }

  /**
   * Tries until the server answers and `read` has read all of it. Throws a {@link Refusal} for an
   * answer that another attempt would not change, the signal's reason, and whatever is wrong on this
   * machine: errors of `read` and of the file.
   */
  async call<Result>(
    method: string,
    path: string,
    call: Call,
    read: Read<Result>,
  ): Promise<Result> {
    const { signal } = call;
    for (let wait = FIRST_MS, damaged = 0;; wait = Math.min(2 * wait, LONGEST_MS)) {
      signal.throwIfAborted();
      try {
        const result = await this.#attempt(method, path, call, read);
        this.#isBack();
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof Interruption) this.#isAway(error);
        else if (!isDamage(error) || ++damaged > AGAIN) throw error;
        else this.options.log.warn(`${(error as Error).message}: trying again`);
      }
      await delay(wait, signal);
    }
  }

  async #attempt<Result>(
    method: string,
    path: string,
    { body, file, headers, signal, silence = ANSWER_MS }: Call,
    read: Read<Result>,
  ): Promise<Result> {
    const { key } = this.options;
    using watch = new Watch(silence);
    const source = file === undefined ? undefined : watch.over((await Deno.open(file)).readable);
    let answer: Watched | undefined;
    try {
      const request = new Request(this.#base + path, {
        method,
        body: source?.stream ?? (body === undefined ? undefined : JSON.stringify(body)),
        headers: {
          ...(key && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        // An address that is another's gets no key, and a body only once.
        redirect: "manual",
        signal: AbortSignal.any([signal, watch.signal]),
      });
      const response = await fetch(request).catch((error) => {
        if (source?.fault) throw source.fault.error;
        if (error instanceof Deno.errors.NotCapable) throw error;
        throw new Interruption(error.message);
      });
      answer = response.body ? watch.over(response.body) : undefined;
      const told = new Response(answer?.stream, response);
      if (!response.ok) await refuse(told);
      return await read(told);
    } catch (error) {
      if (answer?.fault) throw new Interruption((answer.fault.error as Error).message);
      throw error;
    } finally {
      // Of whatever has not been read to its end.
      await Promise.all([source?.close(), answer?.close()]);
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
  const text = await response.text(), { status } = response;
  let error: { message?: string; code?: string | null } = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch { /* the answer of a proxy */ }
  const elsewhere = response.headers.get("location");
  const message = error.message ??
    (elsewhere ? `${status}: it is at ${elsewhere}` : `${status} ${text.slice(0, 200)}`);
  const mayPass = status >= 500 && error.code !== "unavailable" || status === 429 || status === 408;
  if (mayPass) throw new Interruption(message);
  throw new Refusal(message, status, error.code ?? null);
}

/** A file has come with other bytes, there or here. */
function isDamage(error: unknown): boolean {
  const code = error instanceof Refusal
    ? error.code
    : error instanceof ApiError
    ? error.details.code
    : undefined;
  return code === "incomplete_body";
}

/** Ends early with the signal. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}
