/** Uploads a file and reports progress, which `fetch` does not support yet. */
import { authorization, parseError, renewKey, unreachable, urlOf } from "./api.js";

/**
 * @param {File} file
 * @param {string} purpose
 * @param {(share: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<import("./file_field.js").Uploaded>}
 */
export async function upload(file, purpose, onProgress, signal) {
  for (;;) {
    const { status, text } = await attempt(file, purpose, onProgress, signal);
    if (status === 401) await renewKey();
    else if (status >= 200 && status < 300) return JSON.parse(text);
    else throw parseError(status, text);
  }
}

/**
 * @param {File} file
 * @param {string} purpose
 * @param {(share: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<{ status: number, text: string }>}
 */
function attempt(file, purpose, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    body.set("purpose", purpose);
    body.set("file", file);
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", urlOf("/v1/files"));
    for (const [name, value] of Object.entries(authorization())) {
      request.setRequestHeader(name, value);
    }
    request.send(body);
  });
}
