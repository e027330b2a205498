/** The hub's HTTP API, through the `@huggingface/hub` package, with retries and timeouts. */
import {
  datasetInfo,
  downloadFile,
  fileDownloadInfo,
  HubApiError,
  listFiles,
  modelInfo,
} from "../packages/huggingface_hub.ts";
import { UserError } from "../options/user_error.ts";
import { assertNoWebPage, ranged, waitAsked, WebPageAnswer } from "./answers.ts";
import { type HubFile, isHash } from "./cache.ts";
import type { HubEnvironment } from "./environment.ts";
import { HubUnreachable, isPassing } from "./errors.ts";
import { type HubSpec, isSafePath } from "./spec.ts";
import { quoted } from "../text.ts";

/** Longest silence before and during a response. */
const SILENCE_MS = 30_000;
/** The first delay; doubled up to {@link LONGEST_DELAY} times that: five minutes in all. */
const RETRY_DELAY_MS = 500;
const LONGEST_DELAY = 64;
const ATTEMPTS = 16;
/** Longest wait that a server may ask for. */
const LONGEST_WAIT_MS = 15 * 60_000;
/** Waits at least this long are announced. */
const ANNOUNCED_MS = 4_000;

/** How requests to the hub are made. */
export interface HubClientOptions {
  /** Stops a download; what has arrived is kept and resumed later. */
  readonly signal?: AbortSignal;
  /** Delay before the first retry; doubled for further ones. */
  readonly retryDelayMs?: number;
}

interface RetryOptions {
  /** At most so many attempts. */
  readonly attempts?: number;
  /** The same if no server answers at all. */
  readonly unanswered?: number;
  readonly advanced?: () => boolean;
}

export class HubClient {
  readonly #shared: { hubUrl: string; fetch: typeof fetch };
  /** How long the server asked to wait in its last refusal. */
  #asked: number | undefined;
  #announced = false;

  constructor(
    readonly environment: HubEnvironment,
    readonly spec: HubSpec,
    readonly options: HubClientOptions,
    /** Called once, before a wait that a person would notice. */
    readonly onNotice: (message: string) => void = () => {},
  ) {
    this.#shared = { hubUrl: environment.endpoint, fetch: this.#fetchOf() };
  }

  /** The commit that the spec's revision points to. */
  async commit(): Promise<string> {
    const { name, revision, type } = this.spec;
    const params = { name, revision, additionalFields: ["sha" as const], ...this.#shared };
    const { sha } = type === "model" ? await modelInfo(params) : await datasetInfo(params);
    if (!isHash(sha)) throw new UserError(`${this.spec.spec}: the hub returned no commit (${sha})`);
    return sha;
  }

  /** All files of a commit. */
  async files(commit: string): Promise<HubFile[]> {
    const files: HubFile[] = [];
    const entries = listFiles({
      repo: this.spec,
      revision: commit,
      recursive: true,
      ...this.#shared,
    });
    for await (const { type, path, size, oid, lfs, xetHash } of entries) {
      if (type !== "file") continue;
      const sha256 = lfs?.oid;
      if (!isSafePath(path) || !isHash(sha256 ?? oid)) {
        throw new UserError(
          `${this.spec.spec}: the hub lists ${quoted(path)}, which is not a valid path`,
        );
      }
      files.push({
        path,
        size,
        oid: oid ?? "",
        ...(sha256 && { sha256 }),
        ...(xetHash && { xetHash }),
      });
    }
    return files;
  }

  /** The bytes of a file from `start` on. Plain HTTP if `xet` is false. */
  async *read(
    commit: string,
    { path, size }: HubFile,
    start: number,
    xet: boolean,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { hubUrl } = this.#shared;
    const named = { repo: this.spec, path, revision: commit, hubUrl, fetch: this.#fetchOf(size) };
    const downloadInfo = await fileDownloadInfo(named) ?? undefined;
    const blob = downloadInfo && await downloadFile({ ...named, downloadInfo, xet });
    if (!blob) throw new UserError(`${this.spec.spec}: the hub lists ${path} but no longer has it`);
    const reader = (start > 0 ? blob.slice(start) : blob).stream().getReader();
    try {
      while (true) {
        const { done, value } = await withinTime(reader.read(), this.options.signal);
        if (done) return;
        yield value;
      }
    } finally {
      // Not awaited, because the stream itself may be what hangs.
      reader.cancel().catch(() => {});
    }
  }

  /**
   * Retries transient failures with increasing delays, or after the time that the server asks for.
   * If `advanced` reports progress, the count restarts.
   */
  async retry<T>(
    attempt: () => Promise<T>,
    { attempts = ATTEMPTS, unanswered = attempts, advanced = () => false }: RetryOptions = {},
  ): Promise<T> {
    const { signal, retryDelayMs = RETRY_DELAY_MS } = this.options;
    for (let failures = 0;;) {
      this.#asked = undefined;
      try {
        return await attempt();
      } catch (error) {
        signal?.throwIfAborted();
        failures = advanced() ? 1 : failures + 1;
        const limit = error instanceof HubUnreachable ? unanswered : attempts;
        if (failures >= limit || !isPassing(error)) throw error;
        const delay = retryDelayMs * Math.min(2 ** (failures - 1), LONGEST_DELAY);
        const wait = Math.max(delay, this.#asked ?? 0);
        if (wait > LONGEST_WAIT_MS) throw error;
        this.#announce(error, wait);
        await sleep(wait, signal);
      }
    }
  }

  #announce(error: unknown, wait: number): void {
    if (wait < ANNOUNCED_MS || this.#announced) return;
    this.#announced = true;
    const { host } = new URL(this.environment.endpoint);
    const asks = this.#asked !== undefined && this.#asked >= wait;
    const status = error instanceof HubApiError ? ` (status ${error.statusCode})` : "";
    this.onNotice(
      asks
        ? `${host} asks to wait ${Math.ceil(wait / 1000)} s${status}`
        : `${host}: ${shortOf(error)}; trying again for some minutes`,
    );
  }

  /**
   * Adds the token for the hub itself only, never for other hosts; aborts if a host is silent. The
   * file that is asked for has `size` bytes.
   */
  #fetchOf = (size?: number): typeof fetch => async (input, init) => {
    const { environment: { endpoint, token }, options: { signal } } = this;
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    if (token && url.origin === new URL(endpoint).origin && !headers.has("Authorization")) {
      headers.set("Authorization", `Bearer ${token.value}`);
    }
    signal?.throwIfAborted();
    // Covers only the time to the response headers: a body may take as long as it needs.
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const signals = [silence.signal, ...(signal ? [signal] : [])];
    try {
      const answer = await fetch(input, { ...init, headers, signal: AbortSignal.any(signals) });
      if (!answer.ok) this.#asked = waitAsked(answer.headers);
      await assertNoWebPage(answer, url);
      const range = headers.get("Range");
      // The hub's own protocol asks where a range of a file is to be found; the answer is no range.
      if (range === null || url.pathname.includes("/reconstructions/")) return answer;
      const part = await ranged(answer, range, size);
      // The package reads only the headers of this probe and would leave the connection open.
      if (part.ok && range === "bytes=0-0") await part.body?.cancel();
      return part;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof WebPageAnswer || error instanceof Deno.errors.NotCapable) throw error;
      throw new HubUnreachable(
        silence.signal.aborted
          ? `${url.host}: no answer in ${SILENCE_MS / 1000} s`
          : causeOf(error),
      );
    } finally {
      clearTimeout(timer);
    }
  };
}

function shortOf(error: unknown): string {
  if (error instanceof HubApiError) return `answers with status ${error.statusCode}`;
  return (error as Error).message;
}

/**
 * The cause behind "error sending request for url (…)", without the URL, which the message already
 * has.
 */
function causeOf(error: unknown): string {
  const { message, cause } = error as Error;
  if (cause instanceof Error) return causeOf(cause);
  return message.replace(/^error sending request for url \(.*?\): /, "");
}

async function withinTime<T>(result: Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort);
  const timer = setTimeout(
    () => reject(new HubUnreachable(`no data for ${SILENCE_MS / 1000} s`)),
    SILENCE_MS,
  );
  result.catch(() => {}); // ignore failures after the timeout
  try {
    return await Promise.race([result, stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
