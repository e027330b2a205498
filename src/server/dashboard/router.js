/** The routes of the page: `#/jobs/ID/log`, `#/new?from=ID`, `#/chat/MODEL`, `#/files`. */

/**
 * @typedef {object} Route
 * @property {"home" | "job" | "new" | "chat" | "files"} view
 * @property {string} id of the job, or the model's name
 * @property {string} tab
 * @property {URLSearchParams} query
 */

/** @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, id = "", tab = ""] = path.split("/").map(decode);
  const query = new URLSearchParams(search);
  switch (view) {
    case "jobs":
      return id ? { view: "job", id, tab, query } : { view: "home", id: "", tab: "", query };
    case "new":
      return { view: "new", id: "", tab: "", query };
    case "chat":
      return { view: "chat", id, tab: "", query };
    case "files":
      return { view: "files", id: "", tab: "", query };
    default:
      return { view: "home", id: "", tab: "", query };
  }
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} hash */
export function go(hash) {
  location.hash = hash;
}

/** Navigates without a history entry. @param {string} hash */
export function redirect(hash) {
  location.replace(hash);
}
