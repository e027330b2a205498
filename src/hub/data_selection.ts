/** Selects the files of a data set on the hub by configuration, split and format. */
import { globToRegExp } from "../packages/std_path.ts";
import { parse as parseYaml } from "../packages/std_yaml.ts";
import { UserError } from "../options/user_error.ts";
import { isObject } from "../files/fields.ts";
import type { HubFile } from "./cache.ts";
import { listOf } from "./selection.ts";
import type { HubSpec } from "./spec.ts";

/** Files that libraries write beside the data. */
const DATA_NOTES = /(^|\/)(\.|dataset_infos?\.json$|dataset_dict\.json$|state\.json$|readme\.md$)/i;

const README = "README.md";

/**
 * The data files of a data set, in order: those below the path, which may be a file, a folder, a
 * pattern such as `data/train-*` or the name of a configuration; without a path, those of the
 * default configuration. Of several splits, `train`.
 */
export function selectData(
  listed: readonly HubFile[],
  spec: HubSpec,
  isData: (path: string) => boolean,
  readme: string | undefined,
): HubFile[] {
  const data = listed.filter(({ path }) => isData(path) && !DATA_NOTES.test(path))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  if (data.length === 0) throw noData(listed, spec);
  const configurations = configurationsOf(readme);
  if (!spec.path) {
    const chosen = defaultOf(configurations, spec);
    return chosen ? matchesOf(data, chosen, spec) : trainOf(oneKind(data));
  }
  const file = listed.find(({ path }) => path === spec.path);
  if (file) return [file];
  const below = data.filter(({ path }) => path.startsWith(spec.path + "/"));
  if (below.length) return trainOf(oneKind(below));
  const matching = filesMatching(data, [spec.path]);
  if (matching.length) return matching;
  const named = configurations.find(({ name }) => name === spec.path);
  if (named) return matchesOf(data, named, spec);
  throw new UserError(
    `${spec.spec}: has no data file, folder, pattern or configuration ${spec.path}`,
    `it has ${listOf(configurations.map(({ name }) => name).concat(data.map(({ path }) => path)))}`,
  );
}

/** The README, which may define the configurations of a data set. */
export function readmeOf(listed: readonly HubFile[]): HubFile | undefined {
  return listed.find(({ path }) => path === README);
}

interface Configuration {
  readonly name: string;
  readonly isDefault: boolean;
  /** Patterns of each split's files. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
}

/**
 * `configs` in the YAML header of a README:
 * https://huggingface.co/docs/hub/datasets-manual-configuration
 */
function configurationsOf(readme: string | undefined): Configuration[] {
  const yaml = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readme ?? "")?.[1];
  if (!yaml) return [];
  let json: unknown;
  try {
    json = parseYaml(yaml);
  } catch {
    return []; // a README need not have valid YAML
  }
  const configs = isObject(json) && Array.isArray(json.configs) ? json.configs : [];
  return configs.filter(isObject).map((config) => {
    const folder = typeof config.data_dir === "string" ? `${config.data_dir}/` : "";
    const files = config.data_files ?? "**";
    const splits = new Map<string, string[]>();
    const add = (split: unknown, patterns: unknown) => {
      const list = (Array.isArray(patterns) ? patterns : [patterns]).map((it) => `${folder}${it}`);
      splits.set(String(split), [...splits.get(String(split)) ?? [], ...list]);
    };
    for (const each of Array.isArray(files) ? files : [files]) {
      if (isObject(each) && "path" in each) add(each.split ?? "train", each.path);
      else if (isObject(each)) Object.entries(each).forEach(([split, path]) => add(split, path));
      else add("train", each);
    }
    const name = String(config.config_name ?? "default");
    return { name, isDefault: config.default === true, splits };
  });
}

function defaultOf(all: readonly Configuration[], spec: HubSpec): Configuration | undefined {
  if (all.length < 2) return all[0];
  const chosen = all.find(({ isDefault }) => isDefault) ??
    all.find(({ name }) => name === "default");
  if (chosen) return chosen;
  throw new UserError(
    `${spec.spec}: has several configurations and no default`,
    `name one: ${listOf(all.map(({ name }) => `${spec.spec}/${name}`))}`,
  );
}

/** The training files of a configuration. */
function matchesOf(data: readonly HubFile[], { splits, name }: Configuration, spec: HubSpec) {
  const only = splits.size === 1 ? [...splits.values()][0] : undefined;
  const patterns = splits.get("train") ?? only;
  if (!patterns) {
    const ways = [...splits].map(([split, [pattern]]) => `${spec.spec}/${pattern} (${split})`);
    throw new UserError(
      `${spec.spec}: has no split train but ${[...splits.keys()].join(", ")}`,
      `name the files: ${listOf(spec.path ? [...splits.values()].flat() : ways)}`,
    );
  }
  const files = filesMatching(data, patterns);
  if (files.length) return files;
  throw new UserError(
    `${spec.spec}: configuration ${name}: no data file matches ${patterns.join(", ")}`,
    `it has ${listOf(data.map(({ path }) => path))}`,
  );
}

function filesMatching(data: readonly HubFile[], patterns: readonly string[]): HubFile[] {
  // A pattern that matches a folder means everything below it.
  const rules = patterns.flatMap((it) => [globToRegExp(it), globToRegExp(`${it}/**`)]);
  return data.filter(({ path }) => rules.some((rule: RegExp) => rule.test(path)));
}

/** Many data sets come in several formats: use the one with the most files, plain text last. */
function oneKind(data: readonly HubFile[]): HubFile[] {
  const kinds = Map.groupBy(
    data,
    ({ path }) => /\.[a-z]+(\.(gz|zst|bz2))?$/i.exec(path)?.[0].toLowerCase(),
  );
  const isText = (kind: string | undefined) => Number(kind === ".txt"); // possibly a licence
  return [...kinds].sort(([a, { length: as }], [b, { length: bs }]) =>
    isText(a) - isText(b) || bs - as
  )[0][1];
}

const TRAIN = splitNamed("train|training");
const OTHERS = splitNamed("test|testing|eval|evaluation|validation|valid|val|dev");

/**
 * Files of other splits, where some are named as training data: `test.jsonl` beside `train.jsonl`.
 * Empty where names tell of no splits.
 */
export function otherSplits(paths: readonly string[]): readonly string[] {
  const named = paths.some((path) => TRAIN.test(path));
  return named ? paths.filter((path) => !TRAIN.test(path) && OTHERS.test(path)) : [];
}

/** Matches a word in a path, between the hub's word separators. */
function splitNamed(words: string): RegExp {
  return new RegExp(`(^|[-._ 0-9/])(${words})([-._ 0-9/]|$)`, "i");
}

/** The hub's rule for data sets without configurations: words in paths name the splits. */
function trainOf(data: readonly HubFile[]): HubFile[] {
  const train = data.filter(({ path }) => TRAIN.test(path));
  if (train.length) return train;
  const rest = data.filter(({ path }) => !OTHERS.test(path));
  return rest.length ? rest : [...data];
}

function noData(listed: readonly HubFile[], spec: HubSpec): UserError {
  const scripted = listed.some(({ path }) => path.endsWith(".py"));
  return new UserError(
    `${spec.spec}: has no data file`,
    scripted
      ? "it is generated by a script; the hub also keeps most of those as Parquet: " +
        `hf:datasets/${spec.name}@refs/convert/parquet/<configuration>/train`
      : `it has ${listOf(listed.map(({ path }) => path)) || "no files"}`,
  );
}
