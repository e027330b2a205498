/** A section of the sidebar with the workers, where there are several. */
import { fill, h, keyed, setText } from "./dom.js";
import { jobOf, titleOf } from "./jobs.js";
import { allWorkers, onWorkersChanged, watchWorkers } from "./workers.js";

/** @typedef {import("./workers.js").Worker} Worker */

export function createWorkerList() {
  const list = h("ul", { class: "job-list" });
  const element = h(
    "section",
    { class: "sidebar-section", hidden: true, "aria-label": "Workers" },
    h("h2", {}, "Workers"),
    list,
  );
  onWorkersChanged(() => {
    const workers = allWorkers();
    element.hidden = workers.length < 2;
    keyed(list, [...workers], ({ id }) => id, createItem, updateItem);
  });
  watchWorkers();
  return { element };
}

/** @type {WeakMap<HTMLElement, { title: HTMLElement, card: HTMLElement, doing: HTMLElement }>} */
const parts = new WeakMap();

/** @param {Worker} worker */
function createItem({ id }) {
  const title = h("span", { class: "job-item-title" }, id);
  const card = h("span", { class: "job-item-meta" });
  const doing = h("span", { class: "job-item-meta" });
  const item = h(
    "li",
    { class: "worker-item" },
    h("span", { class: "status-dot", "aria-hidden": "true" }),
    title,
    card,
    doing,
  );
  parts.set(item, { title, card, doing });
  return item;
}

/** @param {HTMLElement} item @param {Worker} worker */
function updateItem(item, { card, job }) {
  const its = parts.get(item);
  if (!its) return;
  item.dataset.status = job ? "running" : "idle";
  setText(its.card, card);
  its.card.title = card;
  const known = job && jobOf(job);
  fill(
    its.doing,
    job
      ? h("a", { href: `#/jobs/${encodeURIComponent(job)}` }, known ? titleOf(known) : job)
      : "idle",
  );
}
