/** Requests to the server. Prompts for a key when one is needed and keeps it for this tab only. */

import { noteDate } from "./clock.js";

const KEY = "api-key";
/** Most items that a list is loaded with. */
export const MOST_LISTED = 500;

/** An error response in OpenAI's shape. */
export class RequestError extends Error {
  /**
   * @param {number} status 0 if there was no response
   * @param {object} details
   * @param {string} details.message
   * @param {string | null} [details.param]
   * @param {string | null} [details.code]
   * @param {string[]} [details.choices] values that would be right
   */
  constructor(status, details) {
    super(details.message);
    this.name = "RequestError";
    this.status = status;
    this.param = details.param ?? undefined;
    this.code = details.code ?? undefined;
    this.choices = details.choices;
  }
}

/** @type {(wrong: boolean) => Promise<string>} */
let askForKey = () => Promise.reject(new Error("no dialog to ask for a key"));
/** @type {Promise<string> | undefined} */
let asking;

/** @param {(wrong: boolean) => Promise<string>} ask shows a dialog; `wrong` after a refused key */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** @returns {Record<string, string>} */
export function authorization() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Shows one dialog, however many requests were refused. */
export async function renewKey() {
  asking ??= askForKey(sessionStorage.getItem(KEY) !== null);
  try {
    sessionStorage.setItem(KEY, await asking);
  } finally {
    asking = undefined;
  }
}

/**
 * The URL of a server path such as `/v1/models`, relative to this page, which may be mounted
 * anywhere in a larger site.
 *
 * @param {string} path
 */
export function urlOf(path) {
  return `.${path}`;
}

/**
 * Resolves to a successful response and throws otherwise. A 401 prompts for the key and retries.
 *
 * @param {string} path
 * @param {RequestInit & { json?: unknown }} [options]
 */
export async function send(path, { json, ...init } = {}) {
  const body = json === undefined ? init.body : JSON.stringify(json);
  /** @type {Record<string, string>} */
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  for (;;) {
    const used = authorization();
    const headers = {
      ...type,
      ...used,
      .../** @type {Record<string, string>} */ (init.headers ?? {}),
    };
    /** @type {Response} */
    let response;
    try {
      response = await fetch(urlOf(path), { ...init, body, headers });
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") throw error;
      throw unreachable();
    }
    noteDate(response.headers.get("date"));
    if (response.ok) return response;
    if (response.status !== 401) throw await errorOf(response);
    await response.body?.cancel();
    // Another request may have obtained the key meanwhile.
    if (used.Authorization === authorization().Authorization) await renewKey();
  }
}

/** @param {string} path @param {RequestInit & { json?: unknown }} [options] */
export async function request(path, options) {
  return await (await send(path, options)).json();
}

/** @param {string} path @param {unknown} [json] @param {AbortSignal} [signal] */
export function post(path, json, signal) {
  return request(path, { method: "POST", json, signal });
}

/**
 * Every page of a list.
 *
 * @param {string} path
 * @param {number} [most] items
 * @param {number} [perPage]
 * @returns {Promise<any[]>}
 */
export async function list(path, most = MOST_LISTED, perPage = 100) {
  /** @type {any[]} */
  const items = [];
  for (let after = ""; items.length < most;) {
    const page = await request(
      `${path}?limit=${perPage}${after && `&after=${encodeURIComponent(after)}`}`,
    );
    items.push(...page.data);
    if (!page.has_more || !page.data.length) break;
    after = page.data.at(-1).id;
  }
  return items;
}

/** @param {Response} response */
async function errorOf(response) {
  const text = await response.text();
  return parseError(response.status, text);
}

/** @param {number} status @param {string} text body of the response */
export function parseError(status, text) {
  try {
    const { error } = JSON.parse(text);
    if (error?.message) return new RequestError(status, error);
  } catch {
    // Not from the API: a proxy's page, for example.
  }
  const meaning = PROXY_FAULTS[status];
  const message = meaning ?? "The server answered in words that this page does not understand";
  return new RequestError(status, { message: `${message} (status ${status}).` });
}

/**
 * Statuses of answers that are not the server's own, but a proxy's in front of it.
 *
 * @type {Record<number, string>}
 */
const PROXY_FAULTS = {
  413: "The proxy in front of the server takes no request as large as this",
  502: "The server is not running",
  503: "The server is not ready",
  504: "The server did not answer in time",
  507: "The server's disk is full: make room, then try again",
};

/** No response at all. */
export function unreachable() {
  return new RequestError(0, {
    message: "The server cannot be reached: it has stopped, or the network is down. Nothing that " +
      "you entered is lost; try again when it is back.",
    code: "unreachable",
  });
}
