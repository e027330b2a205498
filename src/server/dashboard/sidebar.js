/** Navigation: jobs with their state, models to chat with, and the connection state. */
import { fill, h, keyed, setText } from "./dom.js";
import { ago } from "./format.js";
import { icon, mark } from "./icons.js";
import { allJobs, isFinished, loaded, modelOf, onJobsChanged, titleOf } from "./jobs.js";
import { connection, onConnectionChanged } from "./live.js";
import { baseModels, onModelsChanged, resultModels, shortName } from "./models.js";
import { PRODUCT } from "./product.js";
import { createProgress, progressText, statusLabel } from "./status.js";

/** Most results listed; the chat view lists all. */
const MOST_MODELS = 8;

/** @param {HTMLElement} element */
export function createSidebar(element) {
  const active = h("ul", { class: "job-list" });
  const finished = h("ul", { class: "job-list" });
  const models = h("ul", { class: "model-list" });
  const activeSection = section("Active", active);
  const finishedSection = section("Finished", finished);
  const modelsSection = section("Models", models);
  const none = h("p", { class: "sidebar-none", hidden: true }, "Your jobs appear here.");
  const live = h("span", { class: "live" });
  fill(
    element,
    h(
      "div",
      { class: "sidebar-head" },
      h("a", { class: "brand", href: "#/" }, mark(), h("span", {}, PRODUCT)),
      h("a", { class: "button primary new-job", href: "#/new" }, icon("plus"), "New job"),
    ),
    h("div", { class: "sidebar-body" }, none, activeSection, finishedSection, modelsSection),
    h("div", { class: "sidebar-foot" }, live, h("a", { href: "docs" }, "API")),
  );
  element.addEventListener("keydown", moveFocus);

  function drawJobs() {
    const jobs = allJobs();
    const rank = (/** @type {string} */ status) =>
      ["running", "validating_files", "queued", "paused"].indexOf(status);
    const now = jobs.filter((job) => !isFinished(job))
      .sort((a, b) => rank(a.status) - rank(b.status) || a.created_at - b.created_at);
    const past = jobs.filter(isFinished);
    keyed(active, now, ({ id }) => id, createItem, updateItem);
    keyed(finished, past, ({ id }) => id, createItem, updateItem);
    activeSection.hidden = now.length === 0;
    finishedSection.hidden = past.length === 0;
    none.hidden = !loaded || jobs.length > 0;
    element.dataset.empty = String(loaded && jobs.length === 0);
  }

  function drawModels() {
    const shown = [...resultModels().slice(0, MOST_MODELS), ...baseModels()];
    modelsSection.hidden = shown.length === 0;
    keyed(models, shown, ({ id }) => id, createModel, () => {});
    markCurrent(element);
  }

  function drawConnection() {
    live.dataset.state = connection.state;
    const words = { live: "Live", connecting: "Connecting", lost: "Disconnected" };
    setText(live, words[connection.state]);
  }

  onJobsChanged(drawJobs);
  onModelsChanged(drawModels);
  onConnectionChanged(drawConnection);
  drawJobs();
  drawModels();
  drawConnection();
}

/** @param {string} title @param {HTMLElement} list */
function section(title, list) {
  return h(
    "section",
    { class: "sidebar-section", hidden: true, "aria-label": title },
    h("h2", {}, title),
    list,
  );
}

/** @param {import("./jobs.js").Job} job */
function createItem(job) {
  const progress = createProgress();
  const title = h("span", { class: "job-item-title" });
  const meta = h("span", { class: "job-item-meta" });
  const item = h(
    "li",
    {},
    h(
      "a",
      { class: "job-item", href: `#/jobs/${encodeURIComponent(job.id)}` },
      h("span", { class: "status-dot", "aria-hidden": "true" }),
      title,
      meta,
      progress.element,
    ),
  );
  parts.set(item, { title, meta, progress });
  if (item.firstElementChild) markLink(/** @type {HTMLAnchorElement} */ (item.firstElementChild));
  return item;
}

/**
 * @type {WeakMap<HTMLElement, {
 *   title: HTMLElement,
 *   meta: HTMLElement,
 *   progress: ReturnType<typeof createProgress>,
 * }>}
 */
const parts = new WeakMap();

/** @param {HTMLElement} item @param {import("./jobs.js").Job} job */
function updateItem(item, job) {
  const its = parts.get(item);
  if (!its) return;
  /** @type {HTMLElement} */ (item.firstElementChild).dataset.status = job.status;
  setText(its.title, titleOf(job));
  const running = job.status === "running";
  const far = running ? progressText(job) : statusLabel(job.status);
  const rest = running
    ? ""
    : modelOf(job) === titleOf(job)
    ? ago(job.finished_at ?? job.created_at)
    : modelOf(job);
  setText(its.meta, [far, rest].filter(Boolean).join(" · "));
  its.progress.element.hidden = !running;
  if (running) its.progress.update(job);
}

/** @param {import("./models.js").Model} model */
function createModel({ id }) {
  return h(
    "li",
    {},
    h(
      "a",
      { class: "model-item", href: `#/chat/${encodeURIComponent(id)}`, title: id },
      icon("chat"),
      h("span", {}, shortName(id)),
    ),
  );
}

/** @param {HTMLElement} element */
export function markCurrent(element) {
  for (const link of element.querySelectorAll("a[href^='#']")) {
    markLink(/** @type {HTMLAnchorElement} */ (link));
  }
}

/** @param {HTMLAnchorElement} link */
function markLink(link) {
  const href = link.getAttribute("href") ?? "";
  const here = location.hash === href ||
    (href.startsWith("#/jobs/") && location.hash.startsWith(`${href}/`));
  if (here) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

/** Arrow keys move through the links of a list. @param {KeyboardEvent} event */
function moveFocus(event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const sidebar = /** @type {HTMLElement} */ (event.currentTarget);
  const links =
    /** @type {HTMLElement[]} */ ([...sidebar.querySelectorAll(".job-item, .model-item")]);
  const index = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (index < 0) return;
  event.preventDefault();
  links[Math.max(0, Math.min(links.length - 1, index + (event.key === "ArrowDown" ? 1 : -1)))]
    .focus();
}
