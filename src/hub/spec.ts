/** Parses `hf:…`: a model or a data set on the Hugging Face hub. */
import { UserError } from "../options/user_error.ts";
import { quoted } from "../text.ts";

export type RepoType = "model" | "dataset";

export interface HubSpec {
  /** As given, for messages. */
  readonly spec: string;
  readonly type: RepoType;
  /** `org/name`, or `name` alone for the oldest models. */
  readonly name: string;
  /** A branch, a tag or a commit; `main` by default. */
  readonly revision: string;
  /** A file or folder in it; empty for the whole. */
  readonly path: string;
}

const PREFIX = "hf:";

const FORMS: Record<RepoType, string> = {
  model: "hf:org/name, hf:org/name@revision or hf:org/name/file.gguf",
  dataset: "hf:datasets/org/name, with @revision or /folder or /file after it",
};

export function isHubSpec(spec: string): boolean {
  return spec.startsWith(PREFIX);
}

/**
 * `hf:[datasets/]org/name[@revision][/path]`. `datasets/` is optional if a data set is expected.
 * Throws a {@link UserError} on anything else.
 */
export function parseHubSpec(spec: string, expected: RepoType): HubSpec {
  const fault = (message: string) =>
    new UserError(`${spec}: ${message}`, `as in ${FORMS[expected]}`);
  const parts = spec.slice(PREFIX.length).replace(/^\/\//, "").split("/");
  const kind = parts[0] === "datasets" ? "dataset" : parts[0] === "models" ? "model" : undefined;
  if (kind) parts.shift();
  if (kind && kind !== expected) {
    throw fault(`names a ${NAMES[kind]} where a ${NAMES[expected]} is needed`);
  }
  // The oldest models and data sets have no organisation: gpt2, imdb.
  const named = parts.length === 1 || parts[0].includes("@") ? 1 : 2;
  const [last, ...revisions] = parts[named - 1].split("@");
  const name = [...parts.slice(0, named - 1), last].join("/");
  if (!name.split("/").every(isName)) {
    throw fault(`${quoted(name)} is not a valid name on the hub`);
  }
  const rest = parts.slice(named);
  let revision = "main";
  if (revisions.length > 0) {
    revision = revisions.join("@");
    // Pull requests and conversions are the only revisions with slashes in their names.
    if (revision === "refs") revision = ["refs", ...rest.splice(0, 2)].join("/");
    if (!/^[\w.-]+(\/[\w.-]+)*$/.test(revision) || revision.includes("..")) {
      throw fault(`${quoted(revision)} is not a revision`);
    }
  }
  const path = rest.join("/").replace(/\/+$/, "");
  if (path && (!isSafePath(path) || path.length > LONGEST_PATH)) {
    throw fault(`${quoted(path)} is not a valid path`);
  }
  return { spec, type: expected, name, revision, path };
}

/** As of the systems whose folders hold the files. */
const LONGEST_PATH = 4096;

export const NAMES: Record<RepoType, string> = { model: "model", dataset: "dataset" };

/** The hub's own limit. */
const LONGEST_NAME = 96;

function isName(part: string): boolean {
  return part.length <= LONGEST_NAME && /^\w[\w.-]*$/.test(part) && !part.includes("..") &&
    !part.includes("--");
}

/** Whether an untrusted path stays below the folder that it is joined to. */
export function isSafePath(path: string): boolean {
  return !/^[A-Za-z]:|\\|\0/.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
