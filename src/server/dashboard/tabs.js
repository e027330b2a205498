/** Tabs that are addressed by the URL hash; arrow keys move between them. */
import { h } from "./dom.js";

/**
 * @param {string} label
 * @param {{ id: string, title: string, href: string, panel: HTMLElement }[]} tabs
 */
export function createTabs(label, tabs) {
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": label });
  const links = tabs.map(({ id, title, href, panel }) => {
    panel.id = `panel-${id}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${id}`);
    return h("a", { role: "tab", id: `tab-${id}`, href, "aria-controls": panel.id }, title);
  });
  list.append(...links);
  list.addEventListener("keydown", (event) => {
    const index = links.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: links.length - 1 };
    if (index < 0 || !(event.key in moves)) return;
    event.preventDefault();
    const next = links[(moves[event.key] + links.length) % links.length];
    next.focus();
    next.click();
  });
  return {
    element: list,
    /** @param {string} id */
    select(id) {
      tabs.forEach((tab, i) => {
        const selected = tab.id === id;
        links[i].setAttribute("aria-selected", String(selected));
        links[i].tabIndex = selected ? 0 : -1;
        tab.panel.hidden = !selected;
      });
    },
  };
}
