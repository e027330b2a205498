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
import { REGEX_COMMIT_HASH } from "@huggingface/hub";
import { join } from "@std/path";
import { UserError } from "../options/user_error.ts";
import { HubCache, type HubFile } from "./cache.ts";
import { HubClient, type HubClientOptions } from "./client.ts";
import { readmeOf, selectData } from "./data_selection.ts";
import { assertSpace, downloadBlob } from "./download.ts";
import { type HubEnvironment, readHubEnvironment } from "./environment.ts";
import { explainHubError, HubUnreachable } from "./errors.ts";
import { selectModel, selectShards, selectTokenizer } from "./selection.ts";
import { type HubSpec, isHubSpec, NAMES, parseHubSpec } from "./spec.ts";
export { isHubSpec };

/** What happens while a spec is resolved; nothing when all of it is in the cache. */
export type DownloadEvent =
  | { readonly type: "download_start"; readonly spec: string; files: number; bytes: number }
  | DownloadProgressEvent
  | { readonly type: "download_done"; readonly spec: string; files: number; bytes: number }
  | { readonly type: "notice"; readonly spec: string; readonly message: string };

/** Sent for every piece that arrives. */
export interface DownloadProgressEvent {
  /** Tells events apart. */
  readonly type: "download_progress";
  /** What was asked for: `hf:org/name`. */
  readonly spec: string;
  /** Path in the repository. */
  readonly file: string;
  /** Bytes of this file that have arrived. */
  readonly fileReceived: number;
  /** Its size in bytes. */
  readonly fileBytes: number;
  /** Of all the files that were not in the cache. */
  readonly received: number;
  /** Their size in bytes. */
  readonly bytes: number;
}

/** Options of {@link resolveModel}. */
export interface HubOptions extends HubClientOptions {
  /** Called for each event of a download. */
  readonly onProgress?: (event: DownloadEvent) => void;
  /** By default what the environment's variables say. */
  readonly environment?: HubEnvironment;
}

let defaults: HubOptions = {};

/**
 * What holds where a call gives no options: a program has one terminal to show downloads on and
 * one signal to stop them by, and specs are resolved deep inside of it.
 */
export function setHubDefaults(options: HubOptions): void {
  defaults = options;
}

/**
 * The folder of a model: what `hf:org/name[@revision]` names, downloaded unless it is in the cache,
 * or the one file that `hf:org/name/file.gguf` names. A path is returned as it is. Throws a
 * {@link UserError} that names the spec.
 */
export async function resolveModel(spec: string, options: HubOptions = {}): Promise<string> {
  if (!isHubSpec(spec)) return await existing(spec);
  return await resolve(parseHubSpec(spec, "model"), options, async (snapshot, hub) => {
    const { path } = hub;
    const file = snapshot.files.find((file) => file.path === path);
    if (path.toLowerCase().endsWith(".gguf") || file) {
      if (!file) throw snapshot.missing([path]);
      await snapshot.fetch([file]);
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

/** As {@link resolveModel} without the weights: what a tokenizer needs, and config.json. */
export async function resolveTokenizer(spec: string, options: HubOptions = {}): Promise<string> {
  if (!isHubSpec(spec) || spec.toLowerCase().endsWith(".gguf")) {
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
  /** Paths below the folder, sorted; it may hold others that are not meant. */
  readonly files: readonly string[];
}

/**
 * The data files of `hf:[datasets/]org/name[@revision][/path]` that `isData` accepts by their names:
 * see {@link selectData} for which.
 */
export async function resolveData(
  spec: string,
  isData: (path: string) => boolean,
  options: HubOptions = {},
): Promise<ResolvedData> {
  return await resolve(parseHubSpec(spec, "dataset"), options, async (snapshot, hub) => {
    const readme = readmeOf(snapshot.files);
    // A README says how to divide the data, but nothing fails for want of it.
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
    return path;
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
  const client = new HubClient(environment, hub, all);
  try {
    return await select(await Snapshot.open(client, all), hub);
  } catch (error) {
    all.signal?.throwIfAborted();
    throw explainHubError(error, hub, environment);
  }
}

/** A commit of which some files are in the cache and others can be brought there. */
class Snapshot {
  private constructor(
    readonly client: HubClient,
    readonly cache: HubCache,
    readonly options: HubOptions,
    readonly commit: string,
    readonly files: readonly HubFile[],
    /** Why nothing can be downloaded, if so. */
    readonly unreachable: string | undefined,
  ) {}

  get folder(): string {
    return this.cache.snapshot(this.commit);
  }

  /** The commit as the hub has it; when the hub cannot be asked, as the cache has it. */
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
        "run once with a connection and without HF_HUB_OFFLINE",
      );
    }
    try {
      // A commit never changes: once listed, it needs no question. The first question is not
      // repeated for long: mostly there is no connection, and perhaps the cache will do.
      const commit = REGEX_COMMIT_HASH.test(spec.revision)
        ? spec.revision
        : await client.retry(() => client.commit(), { attempts: known ? 1 : 3 });
      const listed = await cache.readTree(commit);
      const files = listed ?? await client.retry(() => client.files(commit));
      if (!listed) await cache.writeTree(commit, files);
      await cache.saveCommit(spec.revision, commit);
      return new Snapshot(client, cache, options, commit, files, undefined);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof HubUnreachable) && !isServerFault(error)) throw error;
      const snapshot = await cached((error as Error).message);
      if (!snapshot) throw error;
      const message = `${new URL(environment.endpoint).host} cannot be asked ` +
        `(${(error as Error).message}); using what the cache has of ${spec.spec}`;
      options.onProgress?.({ type: "notice", spec: spec.spec, message });
      return snapshot;
    }
  }

  /** Brings files into the folder, those that are not there yet. */
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

  /** That files are not to be had. */
  missing(paths: readonly string[]): UserError {
    const { spec, type, revision } = this.client.spec;
    const names = paths.slice(0, 8).join(", ") +
      (paths.length > 8 ? `, and ${paths.length - 8} more` : "");
    if (this.unreachable) {
      return new UserError(
        `${spec}: the cache has only part of it, without ${names} (${this.unreachable})`,
        "run once with a connection: what is there already is kept",
      );
    }
    const others = this.files.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
    return new UserError(
      `${spec}: the ${NAMES[type]} has no ${names} at ${revision}`,
      others.length ? `it has ${others.slice(0, 8).join(", ")}` : undefined,
    );
  }
}

function isServerFault(error: unknown): boolean {
  return ((error as { statusCode?: number }).statusCode ?? 0) >= 500;
}
