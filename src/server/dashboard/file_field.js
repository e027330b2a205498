/** A field for a file: dropped, chosen, or uploaded earlier. */
import { announce, fill, h, setText, uniqueId } from "./dom.js";
import { createErrorText } from "./error_text.js";
import { ago, bytes, inTheMiddle, percent } from "./format.js";
import { icon } from "./icons.js";
import { upload } from "./upload.js";
import { createUploadFaults } from "./upload_faults.js";

/** @typedef {{ id: string, filename: string, bytes: number, created_at: number }} Uploaded */

/**
 * @param {object} options
 * @param {string} options.name of the field in the request
 * @param {string} options.label
 * @param {string} options.hint
 * @param {string} options.none what choosing nothing means, where it is allowed
 * @param {() => void} options.onChange
 * @param {(file: Uploaded) => void} options.onUploaded
 */
export function createFileField({ name, label, hint, none, onChange, onUploaded }) {
  const id = uniqueId("file");
  const input = h("input", {
    type: "file",
    id,
    class: "visually-hidden",
    accept: ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.arrow,.feather,.txt,.md,.gz,.zst,.bz2",
    "aria-describedby": `${id}-hint ${id}-error`,
  });
  const select = h("select", { class: "select", "aria-label": `${label}: previous uploads` });
  const drop = h(
    "label",
    { class: "drop", for: id },
    icon("upload"),
    h("span", {}, h("strong", {}, "Choose a file"), " or drop it here"),
    h("span", { class: "hint", id: `${id}-hint` }, hint),
  );
  const fillBar = h("div", { class: "progress-fill" });
  const progressName = h("span");
  const cancel = h("button", { type: "button", class: "button small" }, "Cancel");
  const progress = h(
    "div",
    { class: "upload", hidden: true },
    h("div", { class: "upload-line" }, progressName, cancel),
    h("div", { class: "progress", "data-status": "running", "aria-hidden": "true" }, fillBar),
  );
  const faults = createUploadFaults();
  const error = createErrorText(input);
  const element = h(
    "div",
    { class: "field file-field", "data-param": name },
    h("span", { class: "label" }, label),
    h("div", { class: "file-row" }, input, drop, progress),
    h("div", { class: "file-earlier" }, select),
    error.element,
    faults.element,
  );
  /** @type {AbortController | undefined} */
  let uploading;

  /** @param {File} file */
  async function start(file) {
    uploading?.abort();
    const attempt = uploading = new AbortController();
    error.set("");
    faults.remove(file.name);
    drop.hidden = true;
    progress.hidden = false;
    setText(progressName, file.name);
    try {
      const done = await upload(file, "fine-tune", (share) => {
        fillBar.parentElement?.style.setProperty("--share", String(share));
        setText(
          progressName,
          share < 1
            ? `${file.name} · ${percent(share)} of ${bytes(file.size)}`
            : `${file.name} · validating`,
        );
      }, attempt.signal);
      announce(`${done.filename} uploaded`);
      onUploaded(done);
      select.value = done.id;
      // Whoever types elsewhere by now is not interrupted.
      if ([document.body, input, cancel].includes(/** @type {any} */ (document.activeElement))) {
        select.focus();
      }
      onChange();
    } catch (fault) {
      if (/** @type {Error} */ (fault).name !== "AbortError") {
        faults.add(file.name, /** @type {Error} */ (fault).message);
      }
    } finally {
      // Unless another has begun, whose progress is shown.
      if (uploading === attempt) endUpload();
    }
  }

  function endUpload() {
    uploading = undefined;
    progress.hidden = true;
    drop.hidden = false;
    input.value = "";
  }

  input.addEventListener("change", () => input.files?.[0] && start(input.files[0]));
  cancel.addEventListener("click", () => uploading?.abort());
  select.addEventListener("change", () => {
    error.set("");
    onChange();
  });
  for (const type of ["dragenter", "dragover"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  for (const type of ["dragleave", "drop"]) {
    drop.addEventListener(type, () => drop.classList.remove("is-over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file, ...others] = event.dataTransfer?.files ?? [];
    if (file) start(file);
    for (const { name } of others) faults.add(name, `not uploaded: this field takes one file`);
  });

  return {
    element,
    get input() {
      return select.disabled ? input : select;
    },
    setError: error.set,
    get value() {
      return select.value;
    },
    get uploading() {
      return uploading !== undefined;
    },
    /** @param {Uploaded[]} files @param {string} [chosen] */
    setFiles(files, chosen = select.value) {
      fill(
        select,
        h(
          "option",
          { value: "" },
          none || (files.length ? "or a previous upload…" : "No uploads yet"),
        ),
        files.map((file) =>
          h(
            "option",
            { value: file.id },
            `${inTheMiddle(file.filename)} · ${bytes(file.bytes)} · ${ago(file.created_at)}`,
          )
        ),
      );
      select.disabled = files.length === 0;
      select.value = files.some((file) => file.id === chosen) ? chosen : "";
    },
    destroy: () => uploading?.abort(),
  };
}
