/** What can go wrong between here and the Hugging Face hub, said so that it can be mended. */
import { HubApiError } from "@huggingface/hub";
import { UserError } from "../options/user_error.ts";
import type { HubEnvironment } from "./environment.ts";
import { type HubSpec, NAMES } from "./spec.ts";

/** No answer: no network, no such host, a proxy in between. */
export class HubUnreachable extends Error {}

/** Whether trying again may help: not when the hub has answered and said no. */
export function isPassing(error: unknown): boolean {
  if (error instanceof UserError) return false;
  if (!(error instanceof HubApiError)) return !isDiskFault(error);
  return error.statusCode >= 500 || [408, 429].includes(error.statusCode);
}

/** The page of a model or a data set. */
export function pageOf({ endpoint }: HubEnvironment, { type, name }: HubSpec): string {
  return `${endpoint}/${type === "dataset" ? "datasets/" : ""}${name}`;
}

/** The same error as a {@link UserError} that names the spec, the hub's words and what to do. */
export function explainHubError(
  error: unknown,
  spec: HubSpec,
  environment: HubEnvironment,
): unknown {
  if (error instanceof UserError) return error;
  const fault = (message: string, hint?: string) => new UserError(`${spec.spec}: ${message}`, hint);
  const host = new URL(environment.endpoint).host;
  if (error instanceof HubApiError) {
    const status = error.statusCode, said = wordsOf(error);
    if (status === 401 || status === 403) {
      return fault(`${host} refuses access (${status}${said})`, accessHint(spec, environment));
    }
    if (status === 404) {
      return fault(
        `${host} has no such ${NAMES[spec.type]}, revision or file (404${said})`,
        `look it up at ${pageOf(environment, spec)}`,
      );
    }
    const later = status === 429 ? "too many requests: try again later" : "try again later";
    return fault(`${host} answers with status ${status}${said}`, later);
  }
  if (error instanceof HubUnreachable) {
    return fault(
      `cannot reach ${host}: ${error.message}`,
      "is this machine offline? What is not in the cache yet needs a connection; or download it " +
        "elsewhere and give its folder. HF_ENDPOINT names a mirror",
    );
  }
  if (isDiskFault(error)) {
    return fault(
      `cannot be saved: ${(error as Error).message}`,
      "HF_HOME says where the downloads go; is it writable, with space left?",
    );
  }
  return fault(
    `the download failed: ${error instanceof Error ? error.message : error}`,
    "run it again: what has arrived is kept, and gone on from",
  );
}

function accessHint(spec: HubSpec, environment: HubEnvironment): string {
  const page = pageOf(environment, spec), { token } = environment;
  // The hub says 401 of what does not exist, too, so as not to tell what is private.
  return token
    ? `the token of ${token.origin} may not read it: ask for access or accept its terms at ` +
      `${page}, or give another token in HF_TOKEN`
    : `if the name is right, it is private or gated: ask for access or accept its terms at ` +
      `${page}, and put a token that may read it into HF_TOKEN`;
}

/** The hub's own explanation, if it gave one. */
function wordsOf({ data }: HubApiError): string {
  const words = data?.error ?? data?.message;
  return typeof words === "string" && words.length < 500 && !words.startsWith("<") && words.trim()
    ? `: ${words.trim()}`
    : "";
}

/** Deno's errors of the file system carry a code; those of the network do not reach here. */
function isDiskFault(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && DISK_FAULTS.includes(code);
}

const DISK_FAULTS = [
  "ENOSPC",
  "EDQUOT",
  "EFBIG",
  "EACCES",
  "EPERM",
  "EROFS",
  "EIO",
  "ENOTDIR",
  "EISDIR",
  "ENAMETOOLONG",
];
