/** The events of a job, newest at the bottom; follows them unless the user has scrolled up. */
import { request } from "./api.js";
import { h } from "./dom.js";
import { clock, dateTime } from "./format.js";
import { icon } from "./icons.js";
import { pathOf } from "./jobs.js";

/** @typedef {import("./jobs.js").JobEvent} JobEvent */

const MOST_LINES = 2000;
const NEAR_THE_END = 24;

/** @type {Record<string, (event: JobEvent) => boolean>} */
const FILTERS = {
  all: () => true,
  messages: ({ type }) => type !== "metrics",
  problems: ({ level }) => level !== "info",
};

/** @param {string} id of the job */
export function createLog(id) {
  const lines = h("ol", { class: "log-lines" });
  const scroller = h("div", {
    class: "log-scroller",
    tabindex: 0,
    role: "log",
    "aria-label": "Job events",
    "aria-live": "off",
  }, lines);
  const filter = h(
    "select",
    { class: "select small", id: "log-filter" },
    h("option", { value: "all" }, "Everything"),
    h("option", { value: "messages" }, "Hide steps"),
    h("option", { value: "problems" }, "Warnings and errors"),
  );
  const older = h(
    "button",
    { type: "button", class: "button small", hidden: true },
    "Earlier events",
  );
  const toEnd = h(
    "button",
    { type: "button", class: "button small log-to-end", hidden: true },
    icon("down"),
    "Follow",
  );
  const element = h(
    "section",
    { class: "card log", "aria-label": "Log" },
    h(
      "div",
      { class: "card-head" },
      h("h2", {}, "Events"),
      h(
        "div",
        { class: "row" },
        older,
        h("label", { for: "log-filter", class: "visually-hidden" }, "Show"),
        filter,
      ),
    ),
    h("div", { class: "log-body" }, scroller, toEnd),
  );
  /** @type {Set<string>} */
  const known = new Set();
  let oldest = "";
  let following = true;

  /** @param {JobEvent} event */
  function lineOf(event) {
    const line = h(
      "li",
      { class: "log-line", "data-level": event.level },
      h("time", { title: dateTime(event.created_at) }, clock(event.created_at)),
      h("span", { class: "log-level" }, event.level === "info" ? "" : event.level),
      h("span", { class: "log-message" }, event.message),
    );
    line.dataset.kind = event.type;
    line.hidden = !FILTERS[filter.value](event);
    lineEvents.set(line, event);
    return line;
  }
  /** @type {WeakMap<Element, JobEvent>} */
  const lineEvents = new WeakMap();

  function scrollToEnd() {
    scroller.scrollTop = scroller.scrollHeight;
  }

  /** @param {JobEvent[]} events oldest first */
  function append(events) {
    const fresh = events.filter((event) => !known.has(event.id));
    if (!fresh.length) return;
    for (const { id } of fresh) known.add(id);
    lines.append(...fresh.map(lineOf));
    while (lines.children.length > MOST_LINES) lines.firstElementChild?.remove();
    if (following) scrollToEnd();
  }

  /** @param {string} [after] */
  async function load(after) {
    const page = await request(
      `${pathOf(id)}/events?limit=100${after ? `&after=${encodeURIComponent(after)}` : ""}`,
    );
    oldest = page.data.at(-1)?.id ?? oldest;
    older.hidden = !page.has_more;
    return /** @type {JobEvent[]} */ (page.data).reverse();
  }

  older.addEventListener("click", async () => {
    const events = (await load(oldest)).filter((event) => !known.has(event.id));
    for (const event of events) known.add(event.id);
    const before = scroller.scrollHeight;
    lines.prepend(...events.map(lineOf));
    scroller.scrollTop += scroller.scrollHeight - before;
  });
  filter.addEventListener("change", () => {
    for (const line of /** @type {Iterable<HTMLElement>} */ (lines.children)) {
      const event = lineEvents.get(line);
      if (event) line.hidden = !FILTERS[filter.value](event);
    }
    if (following) scrollToEnd();
  });
  scroller.addEventListener("scroll", () => {
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_THE_END;
    toEnd.hidden = following;
  });
  toEnd.addEventListener("click", () => {
    following = true;
    scrollToEnd();
  });
  return { element, append, load, scrollToEnd: () => following && scrollToEnd() };
}
