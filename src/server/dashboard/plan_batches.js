/** What fits the GPU: the largest batch by length of sequences, and what it needs to save memory. */
import { h } from "./dom.js";
import { bytes, capital, words } from "./format.js";

/** @typedef {{ change: Record<string, unknown>, bytes: number }} Change */

/** `Activation checkpointing on, Batch size 4`. @param {Record<string, unknown>} change */
export function settingsText(change) {
  return Object.entries(change).map(([name, value]) =>
    `${capital(words(name))} ${value === true ? "on" : value}`
  ).join(", ");
}

/**
 * A row for all lengths of one setting; a figure applies its settings.
 *
 * @param {Change[]} fits
 * @param {(change: Record<string, unknown>) => void} apply
 */
export function batchTable(fits, apply) {
  const lengths = [...new Set(fits.map(({ change }) => Number(change.seq_len)))]
    .sort((a, b) => a - b);
  /** @type {Map<string, Change[]>} */
  const rows = new Map();
  for (const fit of fits) {
    const name = settingsText(savings(fit)) || "As it is";
    rows.set(name, [...rows.get(name) ?? [], fit]);
  }
  return h(
    "table",
    {},
    h("caption", {}, "Largest batch by length of sequences"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Settings"),
        lengths.map((length) => h("th", { scope: "col", class: "number" }, length)),
      ),
    ),
    h(
      "tbody",
      {},
      [...rows].map(([name, row]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          lengths.map((length) => cell(row.find(({ change }) => change.seq_len === length), apply)),
        )
      ),
    ),
  );
}

/** @param {Change | undefined} fit @param {(change: Record<string, unknown>) => void} apply */
function cell(fit, apply) {
  if (!fit) return h("td", { class: "number" }, "–");
  const { change, bytes: count } = fit;
  return h(
    "td",
    { class: "number" },
    h(
      "button",
      {
        type: "button",
        class: "batch",
        title: `${settingsText(change)}: ${bytes(count)}`,
        "aria-label": `${change.batch_size} sequences of ${change.seq_len}`,
        on: { click: () => apply(change) },
      },
      Number(change.batch_size),
    ),
  );
}

/** All but what the columns say, and what the form has chosen. @param {Change} fit */
function savings({ change }) {
  const { batch_size: _, seq_len: __, optimizer: ___, rank: ____, ...rest } = change;
  return rest;
}
