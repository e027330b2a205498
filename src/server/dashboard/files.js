/** Names of uploaded files, asked for once. */
import { request } from "./api.js";

/** @type {Map<string, Promise<string | undefined>>} */
const names = new Map();

/** For a file that is deleted now. @param {string} id */
export function forgetFile(id) {
  names.set(id, Promise.resolve(undefined));
}

/** Undefined if the file has been deleted. @param {string} id @returns {Promise<string | undefined>} */
export function fileName(id) {
  const known = names.get(id);
  if (known) return known;
  const asked = request(`/v1/files/${encodeURIComponent(id)}`).then(({ filename }) => filename)
    .catch((error) => {
      if (error.status === 404) return undefined;
      names.delete(id);
      throw error;
    });
  names.set(id, asked);
  return asked;
}
