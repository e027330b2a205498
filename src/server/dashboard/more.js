/** The first items of a long list, and the others when asked for. */
import { h, setText } from "./dom.js";
import { shownOf } from "./format.js";

const FEW = 20;

/** @param {HTMLElement} list @param {() => void} draw its items anew */
export function createMore(list, draw) {
  const element = h("button", { type: "button", class: "button small older", hidden: true });
  let most = FEW;
  element.addEventListener("click", () => {
    const first = most;
    most = Infinity;
    draw();
    // The button is gone: the first of those that it showed takes the focus.
    /** @type {HTMLElement | null | undefined} */ (
      list.children[first]?.querySelector("a, button")
    )?.focus();
  });
  return {
    element,
    /** Those to show. @template Item @param {Item[]} items */
    first(items) {
      const shown = shownOf(items.length, most);
      element.hidden = items.length === shown;
      setText(element, `${items.length - shown} more`);
      return items.slice(0, shown);
    },
  };
}
