/**
 * Models and data sets of the Hugging Face hub as local folders.
 *
 * @module
 * @example
 * ```ts
 * import { Gpu, LlamaForCausalLM, resolveModel } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const folder = await resolveModel("hf:HuggingFaceTB/SmolLM2-135M");
 * const model = await LlamaForCausalLM.fromPretrained(folder, { gpu });
 * ```
 */
import { REGEX_COMMIT_HASH } from "../packages/huggingface_hub.ts";
import { join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { ggufModels, ggufParts, isGgufPath, orItsGguf } from "../files/gguf_path.ts";
import { WebPageAnswer } from "./answers.ts";
import { HubCache, type HubFile } from "./cache.ts";
import { HubClient, type HubClientOptions } from "./client.ts";
import { readmeOf, selectData } from "./data_selection.ts";
import { assertSpace, downloadBlob } from "./download.ts";
import { type HubEnvironment, readHubEnvironment } from "./environment.ts";
import { explainHubError, HubUnreachable } from "./errors.ts";
import { selectModel, selectShards, selectTokenizer } from "./selection.ts";
import { type HubSpec, isHubSpec, NAMES, parseHubSpec } from "./spec.ts";
export { isHubSpec };

/** Events while a spec is resolved; none if everything is cached. */
export type DownloadEvent =
  | { readonly type: "download_start"; readonly spec: string; files: number; bytes: number }
  | DownloadProgressEvent
  | { readonly type: "download_done"; readonly spec: string; files: number; bytes: number }
  | { readonly type: "notice"; readonly spec: string; readonly message: string };

/** Sent for every piece that arrives. */
export interface DownloadProgressEvent {
  /** Tells events apart. */
  readonly type: "download_progress";
  /** The requested spec: `hf:org/name`. */
  readonly spec: string;
  /** Path in the repository. */
  readonly file: string;
  /** Bytes of this file that have arrived. */
  readonly fileReceived: number;
  /** Its size in bytes. */
  readonly fileBytes: number;
  /** Total over all files that were not cached. */
  readonly received: number;
  /** Their size in bytes. */
  readonly bytes: number;
}

/** Options of {@link resolveModel}. */
export interface HubOptions extends HubClientOptions {
  /** Called for each event of a download. */
  readonly onProgress?: (event: DownloadEvent) => void;
  /** By default from environment variables. */
  readonly environment?: HubEnvironment;
}

let defaults: HubOptions = {};

/**
 * Sets defaults for calls without options: a program has one terminal to show downloads and one
 * signal to stop them, while specs are resolved deep inside it.
 */
export function setHubDefaults(options: HubOptions): void {
  defaults = options;
}

/**
 * The local folder of the model `hf:org/name[@revision]`, or the file `hf:org/name/file.gguf`,
 * downloaded unless cached, with the other parts of a split one. A path is returned unchanged, unless
 * it is a folder with nothing but a GGUF model. Throws a {@link UserError} that names the spec.
 */
export async function resolveModel(spec: string, options: HubOptions = {}): Promise<string> {
  if (!isHubSpec(spec)) return await existing(spec);
  return await resolve(parseHubSpec(spec, "model"), options, async (snapshot, hub) => {
    const { path } = hub;
    const find = (path: string) => snapshot.files.find((file) => file.path === path);
    if (isGgufPath(path) || find(path)) {
      const parts = ggufParts(path), found = parts.map(find);
      const missing = parts.filter((_, at) => !found[at]);
      if (missing.length) throw snapshot.missing(missing);
      await snapshot.fetch(found as HubFile[]);
      return join(snapshot.folder, path);
    }
    const { files, index } = selectModel(snapshot.files, hub);
    if (index) await snapshot.fetch([index]);
    const json = index && await Deno.readTextFile(join(snapshot.folder, index.path));
    const shards = index ? selectShards(snapshot.files, index, json!, hub) : [];
    await snapshot.fetch([...files, ...shards]);
    return join(snapshot.folder, path);
  });
}

/** Like {@link resolveModel} without the weights: the tokenizer's files and config.json. */
export async function resolveTokenizer(spec: string, options: HubOptions = {}): Promise<string> {
  if (!isHubSpec(spec) || isGgufPath(spec)) {
    return await resolveModel(spec, options);
  }
  return await resolve(parseHubSpec(spec, "model"), options, async (snapshot, hub) => {
    const files = selectTokenizer(snapshot.files, hub);
    await snapshot.fetch(files);
    return join(snapshot.folder, hub.path);
  });
}

export interface ResolvedData {
  readonly folder: string;
  /** Sorted paths below the folder, which may also contain other files. */
  readonly files: readonly string[];
}

/**
 * The data files of `hf:[datasets/]org/name[@revision][/path]` whose names `isData` accepts,
 * selected by {@link selectData}.
 */
export async function resolveData(
  spec: string,
  isData: (path: string) => boolean,
  options: HubOptions = {},
): Promise<ResolvedData> {
  return await resolve(parseHubSpec(spec, "dataset"), options, async (snapshot, hub) => {
    const readme = readmeOf(snapshot.files);
    // A README defines configurations, but is optional.
    if (readme) await snapshot.fetch([readme], { optional: true });
    const text = readme && await Deno.readTextFile(join(snapshot.folder, readme.path))
      .catch(() => undefined);
    const files = selectData(snapshot.files, hub, isData, text);
    await snapshot.fetch(files);
    return { folder: snapshot.folder, files: files.map(({ path }) => path) };
  });
}

async function existing(path: string): Promise<string> {
  try {
    await Deno.stat(path);
    return await orItsGguf(path);
  } catch (error) {
    throw new UserError(
      `model ${path}: cannot be opened: ${(error as Error).message}`,
      "a model is a folder, a .gguf file, or hf:org/name on the Hugging Face hub",
    );
  }
}

async function resolve<T>(
  hub: HubSpec,
  options: HubOptions,
  select: (snapshot: Snapshot, hub: HubSpec) => Promise<T>,
): Promise<T> {
  const all = { ...defaults, ...options };
  const environment = all.environment ?? await readHubEnvironment();
  const client = new HubClient(
    environment,
    hub,
    all,
    (message) => all.onProgress?.({ type: "notice", spec: hub.spec, message }),
  );
  try {
    return await select(await Snapshot.open(client, all), hub);
  } catch (error) {
    all.signal?.throwIfAborted();
    throw explainHubError(error, hub, environment);
  }
}

/** A commit with some files cached and others to download. */
class Snapshot {
  private constructor(
    readonly client: HubClient,
    readonly cache: HubCache,
    readonly options: HubOptions,
    readonly commit: string,
    readonly files: readonly HubFile[],
    /** Why nothing can be downloaded, if that is the case. */
    readonly unreachable: string | undefined,
  ) {}

  get folder(): string {
    return this.cache.snapshot(this.commit);
  }

  /** The commit according to the hub, or to the cache if the hub is unreachable. */
  static async open(client: HubClient, options: HubOptions): Promise<Snapshot> {
    const { spec, environment } = client;
    const cache = new HubCache(environment.cacheFolder, spec);
    const known = await cache.commitOf(spec.revision);
    const cached = async (reason: string) => {
      if (!known) return undefined;
      const files = await cache.readTree(known) ?? await cache.listSnapshot(known);
      if (files.length === 0) return undefined;
      return new Snapshot(client, cache, options, known, files, reason);
    };
    if (environment.offline) {
      const snapshot = await cached("HF_HUB_OFFLINE forbids downloads");
      if (snapshot) return snapshot;
      throw new UserError(
        `${spec.spec}: is not in the cache (${cache.folder}), and HF_HUB_OFFLINE forbids downloads`,
        "run once while online and without HF_HUB_OFFLINE",
      );
    }
    try {
      // A commit never changes: once listed, it needs no request. The first request is not retried
      // for long where there is no connection, nor at all where the cache may suffice.
      const patience = known ? { attempts: 1 } : { unanswered: 5 };
      const commit = REGEX_COMMIT_HASH.test(spec.revision)
        ? spec.revision
        : await client.retry(() => client.commit(), patience);
      const listed = await cache.readTree(commit);
      const files = listed ?? await client.retry(() => client.files(commit));
      if (!listed) await cache.writeTree(commit, files);
      await cache.saveCommit(spec.revision, commit);
      return new Snapshot(client, cache, options, commit, files, undefined);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isUnreachable(error)) throw error;
      const snapshot = await cached((error as Error).message);
      if (!snapshot) throw error;
      const message = `${new URL(environment.endpoint).host} is unreachable ` +
        `(${(error as Error).message}); using the cached files of ${spec.spec}`;
      options.onProgress?.({ type: "notice", spec: spec.spec, message });
      return snapshot;
    }
  }

  /** Downloads the files that are not in the folder yet. */
  async fetch(files: readonly HubFile[], { optional = false } = {}): Promise<void> {
    const { client, cache, commit, options: { onProgress } } = this, { spec } = client.spec;
    const present = await Promise.all(files.map((file) => cache.has(commit, file)));
    const absent = files.filter((_, at) => !present[at]);
    if (absent.length === 0 || (optional && this.unreachable)) return;
    if (this.unreachable) throw this.missing(absent.map(({ path }) => path));
    const bytes = absent.reduce((sum, { size }) => sum + size, 0);
    await assertSpace(cache.folder, bytes, spec);
    onProgress?.({ type: "download_start", spec, files: absent.length, bytes });
    let before = 0;
    for (const file of absent) {
      await downloadBlob(client, cache, commit, file, (fileReceived) => {
        onProgress?.({
          type: "download_progress",
          spec,
          file: file.path,
          fileReceived,
          fileBytes: file.size,
          received: before + fileReceived,
          bytes,
        });
      });
      before += file.size;
    }
    onProgress?.({ type: "download_done", spec, files: absent.length, bytes });
  }

  /** The error for files that cannot be obtained. */
  missing(paths: readonly string[]): UserError {
    const { spec, type, revision } = this.client.spec;
    const names = paths.slice(0, 8).join(", ") +
      (paths.length > 8 ? `, and ${paths.length - 8} more` : "");
    if (this.unreachable) {
      return new UserError(
        `${spec}: the cache is incomplete, missing ${names} (${this.unreachable})`,
        "run once while online: cached files are kept",
      );
    }
    const others = ggufModels(this.files.map(({ path }) => path));
    return new UserError(
      `${spec}: the ${NAMES[type]} has no ${names} at ${revision}`,
      others.length ? `it has ${others.slice(0, 8).join(", ")}` : undefined,
    );
  }
}

function isUnreachable(error: unknown): boolean {
  if (error instanceof HubUnreachable || error instanceof WebPageAnswer) return true;
  const status = (error as { statusCode?: number }).statusCode ?? 0;
  return status >= 500 || status === 429;
}
