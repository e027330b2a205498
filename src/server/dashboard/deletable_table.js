/** A table whose rows can be deleted: each asks first, and shows why the server refused. */
import { send } from "./api.js";
import { confirm } from "./dialogs.js";
import { announce, h, keyed, setText } from "./dom.js";
import { createMore } from "./more.js";
import { createTable } from "./table.js";

/** @typedef {import("./dom.js").Child} Child */
/**
 * Does what a row's button is for, once at a time, and shows at the row why it failed. `label` is
 * the button's meanwhile. Resolves to whether it worked.
 * @typedef {(button: HTMLElement, label: string, work: () => Promise<void>) => Promise<boolean>} Attempt
 */

/**
 * @template Item
 * @param {object} options
 * @param {string} options.title
 * @param {string[]} options.columns the first is that of the names
 * @param {string} options.empty words for no rows
 * @param {(item: Item) => string} options.keyOf
 * @param {(item: Item) => string} options.nameOf for people
 * @param {(item: Item) => string} options.pathOf what the request deletes
 * @param {(item: Item) => string} options.lossOf what is lost, for the question
 * @param {(item: Item) => (Child | Child[])[]} options.cells
 * @param {(item: Item, attempt: Attempt) => HTMLElement[]} [options.actions] beside the deletion
 * @param {(item: Item) => void} options.onDeleted
 */
export function createDeletableTable(options) {
  const { title, columns, empty, keyOf, nameOf, cells, actions } = options;
  const table = createTable(title, [...columns, "Actions"].map((label) => ({ label })), empty);
  table.element.classList.add("deletable");
  table.explain("Loading…");
  const more = createMore(table.body, draw);
  table.element.append(more.element);
  /** @type {readonly Item[]} */
  let items = [];
  let caption = (/** @type {readonly Item[]} */ _items) => "";
  /** Keys of what is deleted, whatever an older answer still lists. @type {Set<string>} */
  const gone = new Set();

  function draw() {
    const left = items.filter((item) => !gone.has(keyOf(item)));
    keyed(table.body, more.first(left), keyOf, createRow, () => {});
    table.settle(caption(left));
  }

  /** @param {Item} item */
  function createRow(item) {
    const fault = h("p", { class: "field-error", role: "alert", hidden: true });
    /** @type {Attempt} */
    const attempt = async (button, label, work) => {
      if (button.hasAttribute("aria-busy")) return false;
      const before = button.textContent ?? "";
      button.setAttribute("aria-busy", "true");
      setText(button, label);
      fault.hidden = true;
      try {
        await work();
        return true;
      } catch (error) {
        fault.hidden = false;
        setText(fault, /** @type {Error} */ (error).message);
        return false;
      } finally {
        button.removeAttribute("aria-busy");
        setText(button, before);
      }
    };
    const remove = h("button", {
      type: "button",
      class: "button small danger delete",
      "aria-label": `Delete ${nameOf(item)}`,
    }, "Delete");
    const [first, ...others] = cells(item);
    const row = h(
      "tr",
      {},
      h("th", { scope: "row" }, first, fault),
      others.map((cell) => h("td", {}, cell)),
      h("td", {}, h("div", { class: "row-actions" }, actions?.(item, attempt), remove)),
    );
    remove.addEventListener("click", async () => {
      if (!await isWanted(item)) return;
      const deletion = () => deleteAt(options.pathOf(item));
      if (await attempt(remove, "Deleting…", deletion)) leave(row, item);
    });
    return row;
  }

  /** @param {Item} item */
  function isWanted(item) {
    return confirm({
      title: `Delete ${nameOf(item)}?`,
      text: options.lossOf(item),
      confirm: "Delete",
      danger: true,
    });
  }

  /** @param {HTMLTableRowElement} row @param {Item} item */
  function leave(row, item) {
    const index = [...table.body.rows].indexOf(row);
    // Who is elsewhere by now stays there.
    const focused = row.contains(document.activeElement);
    gone.add(keyOf(item));
    draw();
    announce(`${nameOf(item)} deleted`);
    options.onDeleted(item);
    if (!focused) return;
    const next = table.body.rows[Math.min(index, table.body.rows.length - 1)];
    const target = next?.querySelector(".delete") ?? table.nothing;
    /** @type {HTMLElement} */ (target).focus();
  }

  return {
    element: table.element,
    /** @param {string} text why the rows could not be loaded */
    explain: (text) => table.explain(text),
    /** @param {readonly Item[]} next @param {typeof caption} [captionOf] of those that are left */
    show(next, captionOf = caption) {
      items = next;
      caption = captionOf;
      table.explain(empty);
      draw();
    },
  };
}

/** @param {string} path */
async function deleteAt(path) {
  try {
    await send(path, { method: "DELETE" });
  } catch (error) {
    // Deleted elsewhere meanwhile.
    if (/** @type {import("./api.js").RequestError} */ (error).status !== 404) throw error;
  }
}
