/** A card with a table, or with words for why it has no rows. */
import { fill, h, setText } from "./dom.js";

/**
 * @param {string} title
 * @param {{ label: string, number?: boolean }[]} columns
 * @param {string} empty
 */
export function createTable(title, columns, empty) {
  const body = h("tbody");
  const note = h("p", { class: "card-note" });
  const nothing = h("p", { class: "nothing", tabindex: -1 }, empty);
  const table = h(
    "div",
    { class: "table-scroll", tabindex: 0, role: "group", "aria-label": `${title}, table` },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map(({ label, number }) =>
            h("th", { scope: "col", class: number ? "number" : undefined }, label)
          ),
        ),
      ),
      body,
    ),
  );
  const element = h(
    "section",
    { class: "card table-card", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", {}, title), note),
    nothing,
    table,
  );
  /** After a change of the body. @param {string} [caption] */
  function settle(caption = "") {
    nothing.hidden = body.rows.length > 0;
    table.hidden = body.rows.length === 0;
    setText(note, caption);
  }
  return {
    element,
    body,
    nothing,
    settle,
    /** @param {string} text of a table without rows */
    explain: (text) => setText(nothing, text),
    /** @param {HTMLTableRowElement[]} rows */
    show(rows) {
      fill(body, rows);
      settle();
    },
  };
}
