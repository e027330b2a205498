/** Uploads, and files that jobs have written: to download or delete. */
import { list } from "./api.js";
import { createDeletableTable } from "./deletable_table.js";
import { h } from "./dom.js";
import { download } from "./download.js";
import { forgetFile } from "./files.js";
import { bytes, inTheMiddle, whole } from "./format.js";
import { timeAgo } from "./time_ago.js";

/** @typedef {import("./file_field.js").Uploaded & { purpose: string }} StoredFile */

const RESULTS = "fine-tune-results";

/** @type {Record<string, string>} */
const PURPOSES = {
  "fine-tune": "Data for fine-tuning",
  "pretrain": "Data for pre-training",
  [RESULTS]: "Results of a job",
};

/** Few requests, since the total needs all files. */
const PER_REQUEST = 10_000;

export function createFilesCard() {
  const table = createDeletableTable({
    title: "Files",
    columns: ["Name", "Purpose", "Size", "Created"],
    empty: "No files: uploads appear here, and what finished jobs have measured.",
    keyOf: (/** @type {StoredFile} */ { id }) => id,
    nameOf: ({ filename }) => filename,
    pathOf,
    lossOf: ({ purpose }) =>
      purpose === RESULTS
        ? "The table of what the job measured is deleted for good. The job keeps its charts and its model."
        : "The file is deleted for good. Jobs that have finished keep their results, but a failed one that needs the file can no longer be resumed, nor any run again with it.",
    cells: (file) => [
      h("span", { title: file.filename }, inTheMiddle(file.filename)),
      PURPOSES[file.purpose] ?? file.purpose,
      bytes(file.bytes),
      timeAgo(file.created_at),
    ],
    actions: (file, attempt) => [downloadButton(file, attempt)],
    onDeleted({ id }) {
      forgetFile(id);
      refresh();
    },
  });

  async function refresh() {
    try {
      table.show(await list("/v1/files", Infinity, PER_REQUEST), sum);
    } catch (error) {
      table.explain(`The files could not be loaded: ${/** @type {Error} */ (error).message}`);
    }
  }
  return { element: table.element, refresh };
}

/** @param {readonly StoredFile[]} files */
function sum(files) {
  if (!files.length) return "";
  const total = files.reduce((total, file) => total + file.bytes, 0);
  return `${whole(files.length)} ${files.length === 1 ? "file" : "files"}, ${bytes(total)}`;
}

/** @param {StoredFile} file @param {import("./deletable_table.js").Attempt} attempt */
function downloadButton(file, attempt) {
  const button = h("button", {
    type: "button",
    class: "button small",
    "aria-label": `Download ${file.filename}`,
  }, "Download");
  button.addEventListener(
    "click",
    () => attempt(button, "Downloading…", () => download(`${pathOf(file)}/content`, file.filename)),
  );
  return button;
}

/** @param {StoredFile} file */
function pathOf({ id }) {
  return `/v1/files/${encodeURIComponent(id)}`;
}
