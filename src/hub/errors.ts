/** Errors of the Hugging Face hub, with advice on how to resolve them. */
import { HubApiError } from "../packages/huggingface_hub.ts";
import { UserError } from "../options/user_error.ts";
import { titleOf, WebPageAnswer } from "./answers.ts";
import type { HubEnvironment } from "./environment.ts";
import { type HubSpec, NAMES } from "./spec.ts";
import { quoted } from "../text.ts";

/** No response: no network, an unknown host, or a proxy in between. */
export class HubUnreachable extends Error {}

/** Whether a retry may help: not if the hub has refused. */
export function isPassing(error: unknown): boolean {
  if (error instanceof UserError || error instanceof WebPageAnswer) return false;
  if (error instanceof Deno.errors.NotCapable) return false;
  if (!(error instanceof HubApiError)) return !isDiskFault(error);
  return error.statusCode >= 500 || [408, 429].includes(error.statusCode);
}

/** The page of a model or a data set. */
export function pageOf({ endpoint }: HubEnvironment, { type, name }: HubSpec): string {
  return `${endpoint}/${type === "dataset" ? "datasets/" : ""}${name}`;
}

/** Converts an error to a {@link UserError} with the spec, the hub's message and advice. */
export function explainHubError(
  error: unknown,
  spec: HubSpec,
  environment: HubEnvironment,
): unknown {
  if (error instanceof UserError || error instanceof Deno.errors.NotCapable) return error;
  const fault = (message: string, hint?: string) => new UserError(`${spec.spec}: ${message}`, hint);
  const host = new URL(environment.endpoint).host;
  if (error instanceof HubApiError) {
    const status = error.statusCode, said = wordsOf(error);
    if (status === 401 || status === 403) {
      return fault(`${host} denies access (${status}${said})`, accessHint(spec, environment));
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
  if (error instanceof WebPageAnswer) {
    return fault(
      error.message,
      "a proxy or a network's login page answers in place of the hub: log in with a browser, or " +
        "check HTTPS_PROXY and HF_ENDPOINT",
    );
  }
  if (error instanceof HubUnreachable) {
    return fault(
      `cannot reach ${host}: ${error.message}`,
      /certificate|UnknownIssuer/i.test(error.message)
        ? "a proxy that inspects connections needs its certificate: DENO_TLS_CA_STORE=system, or " +
          "DENO_CERT=<file>"
        : "is this machine offline? What is not in the cache yet needs a connection; or download it " +
          "elsewhere and give its folder. HF_ENDPOINT names a mirror",
    );
  }
  if (isDiskFault(error)) {
    return fault(
      `cannot be saved: ${(error as Error).message}`,
      "downloads go to HF_HOME: is it writable, with space left?",
    );
  }
  return fault(
    `the download failed: ${error instanceof Error ? error.message : error}`,
    "run it again: it resumes from what has been downloaded",
  );
}

function accessHint(spec: HubSpec, environment: HubEnvironment): string {
  const page = pageOf(environment, spec), { token } = environment;
  // The hub also returns 401 for what does not exist, so as not to reveal what is private.
  return token
    ? `the token of ${token.origin} has no access: ask for it or accept its terms at ` +
      `${page}, or set HF_TOKEN to another token`
    : `if the name is right, it is private or gated: ask for access or accept its terms at ` +
      `${page}, and set HF_TOKEN to a token with access`;
}

/** The hub's own message, if any. */
function wordsOf({ data }: HubApiError): string {
  const words = data?.error ?? data?.message;
  if (typeof words === "string" && /^\s*</.test(words)) {
    const title = titleOf(words);
    return title && `: a web page, ${quoted(title)}`;
  }
  return typeof words === "string" && words.length < 500 && !words.startsWith("<") && words.trim()
    ? `: ${words.trim()}`
    : "";
}

/** Deno's file system errors have a code; network errors do not get here. */
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
