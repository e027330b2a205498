/** Selects the files of a model on the hub that are needed. */
import { UserError } from "../options/user_error.ts";
import { isObject } from "../files/fields.ts";
import { ggufModels } from "../files/gguf_path.ts";
import type { HubFile } from "./cache.ts";
import type { HubSpec } from "./spec.ts";
import { TOKENIZER_FILES } from "../files/tokenizer_files.ts";

const SMALL_FILES = ["config.json", "generation_config.json", "adapter_config.json"];

const SINGLES = ["model.safetensors", "adapter_model.safetensors"];
const INDEX = "model.safetensors.index.json";

export interface ModelSelection {
  readonly files: readonly HubFile[];
  /** The index of shards that must be downloaded as well. */
  readonly index?: HubFile;
}

/** The files of a model without its weights, by their paths in the spec's folder. */
export function selectTokenizer(listed: readonly HubFile[], spec: HubSpec): HubFile[] {
  const prefix = spec.path && `${spec.path}/`;
  const paths = [...SMALL_FILES, ...TOKENIZER_FILES].map((name) => prefix + name);
  return listed.filter(({ path }) => paths.includes(path));
}

/**
 * A model's files; its shards are named in the index. Weights in other formats are not downloaded.
 */
export function selectModel(listed: readonly HubFile[], spec: HubSpec): ModelSelection {
  const folder = filesIn(listed, spec.path);
  const find = (name: string) => folder.find(({ path }) => baseName(path) === name);
  const small = selectTokenizer(listed, spec);
  // A single file takes precedence over an index, as in readers of such folders.
  const single = SINGLES.map(find).find((file) => file !== undefined);
  if (single) return { files: [...small, single] };
  const index = find(INDEX);
  if (index) return { files: [...small, index], index };
  throw noWeights(listed, folder, spec);
}

/** The shards that an index names. */
export function selectShards(
  listed: readonly HubFile[],
  index: HubFile,
  json: string,
  spec: HubSpec,
): HubFile[] {
  let map: unknown;
  try {
    map = JSON.parse(json).weight_map;
  } catch {
    // reported below, like anything else that is not a map
  }
  if (!isObject(map)) throw new UserError(`${spec.spec}: ${index.path}: has no weight_map`);
  const folder = index.path.slice(0, -INDEX.length);
  const names = [...new Set(Object.values(map))].map((name) => `${folder}${name}`).sort();
  const found = names.map((name) => listed.find(({ path }) => path === name));
  const missing = names.filter((_, at) => !found[at]);
  if (missing.length) {
    throw new UserError(
      `${spec.spec}: ${index.path} names ${listOf(missing)}, which ` +
        `${missing.length > 1 ? "are" : "is"} not there`,
    );
  }
  return found as HubFile[];
}

function noWeights(listed: readonly HubFile[], folder: readonly HubFile[], spec: HubSpec) {
  const message = `${spec.spec}: has no model.safetensors${spec.path && ` in ${spec.path}`}`;
  const ggufs = ggufModels(listed.map(({ path }) => path));
  if (ggufs.length) {
    const at = spec.revision === "main" ? "" : `@${spec.revision}`;
    const names = ggufs.map((path) => `hf:${spec.name}${at}/${path}`);
    return new UserError(message, `it has GGUF files; name one: ${listOf(names)}`);
  }
  if (folder.some(({ path }) => /\.(bin|pth|pt)$/.test(path))) {
    return new UserError(
      message,
      "its weights are in PyTorch's own format; look for a converted copy, or save it again with " +
        "transformers' save_pretrained(folder) and pass that folder",
    );
  }
  return new UserError(message, `it has ${listOf(listed.map(({ path }) => path)) || "no files"}`);
}

function filesIn(listed: readonly HubFile[], folder: string): HubFile[] {
  const prefix = folder && `${folder}/`;
  return listed.filter(({ path }) => path === prefix + baseName(path));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Some names, and the number of others. */
export function listOf(names: readonly string[]): string {
  return names.slice(0, 8).join(", ") + (names.length > 8 ? `, and ${names.length - 8} more` : "");
}
