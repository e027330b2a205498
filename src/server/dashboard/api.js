/** Requests to the server. Prompts for a key when one is needed and keeps it for this tab only. */

const KEY = "api-key";

/** An error response in OpenAI's shape. */
export class RequestError extends Error {
  /**
   * @param {number} status 0 if there was no response
   * @param {{ message: string, param?: string | null, code?: string | null }} details
   */
  constructor(status, details) {
    super(details.message);
    this.name = "RequestError";
    this.status = status;
    this.param = details.param ?? undefined;
    this.code = details.code ?? undefined;
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
      throw new RequestError(0, { message: "Cannot reach the server.", code: "unreachable" });
    }
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
 * @returns {Promise<any[]>}
 */
export async function list(path, most = 500) {
  /** @type {any[]} */
  const items = [];
  for (let after = ""; items.length < most;) {
    const page = await request(
      `${path}?limit=100${after && `&after=${encodeURIComponent(after)}`}`,
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
  return new RequestError(status, { message: `The server answered with status ${status}.` });
}
