/** The hub's HTTP API, through the `@huggingface/hub` package, with retries and timeouts. */
import {
  datasetInfo,
  downloadFile,
  fileDownloadInfo,
  listFiles,
  modelInfo,
} from "@huggingface/hub";
import { UserError } from "../options/user_error.ts";
import { type HubFile, isHash } from "./cache.ts";
import type { HubEnvironment } from "./environment.ts";
import { HubUnreachable, isPassing } from "./errors.ts";
import { type HubSpec, isSafePath } from "./spec.ts";

/** Longest silence before and during a response. */
const SILENCE_MS = 30_000;
const ATTEMPTS = 5;
const RETRY_DELAY_MS = 500;

/** How requests to the hub are made. */
export interface HubClientOptions {
  /** Stops a download; what has arrived is kept and resumed later. */
  readonly signal?: AbortSignal;
  /** Delay before the first retry; doubled for each further one. */
  readonly retryDelayMs?: number;
}

interface RetryOptions {
  readonly attempts?: number;
  readonly advanced?: () => boolean;
}

export class HubClient {
  readonly #shared: { hubUrl: string; fetch: typeof fetch };

  constructor(
    readonly environment: HubEnvironment,
    readonly spec: HubSpec,
    readonly options: HubClientOptions,
  ) {
    this.#shared = { hubUrl: environment.endpoint, fetch: this.#fetch };
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
          `${this.spec.spec}: the hub lists ${JSON.stringify(path)}, which is not a valid path`,
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
    { path }: HubFile,
    start: number,
    xet: boolean,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const named = { repo: this.spec, path, revision: commit, ...this.#shared };
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
   * Retries transient failures with increasing delays. If `advanced` reports progress, the count
   * restarts.
   */
  async retry<T>(
    attempt: () => Promise<T>,
    { attempts = ATTEMPTS, advanced = () => false }: RetryOptions = {},
  ): Promise<T> {
    const { signal, retryDelayMs = RETRY_DELAY_MS } = this.options;
    for (let failures = 0;;) {
      try {
        return await attempt();
      } catch (error) {
        signal?.throwIfAborted();
        failures = advanced() ? 1 : failures + 1;
        if (failures >= attempts || !isPassing(error)) throw error;
        await sleep(retryDelayMs * 2 ** (failures - 1), signal);
      }
    }
  }

  /** Adds the token for the hub itself only, never for other hosts; aborts if a host is silent. */
  #fetch: typeof fetch = async (input, init) => {
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
      // The package reads only the headers of this probe and would leave the connection open.
      if (answer.ok && headers.get("Range") === "bytes=0-0") await answer.body?.cancel();
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
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
