/** Navigation: jobs with their state, models to chat with, and the connection state. */
import { MOST_LISTED } from "./api.js";
import { fill, h, keyed, setText } from "./dom.js";
import { icon, mark } from "./icons.js";
import { createJobList } from "./job_list.js";
import { allJobs, isFinished, loaded, more, onJobsChanged, queue } from "./jobs.js";
import { connection, onConnectionChanged } from "./live.js";
import { baseModels, onModelsChanged, resultModels, shortName } from "./models.js";
import { PRODUCT } from "./product.js";
import { createWorkerList } from "./worker_list.js";

/** Most results listed; the chat view lists all. */
const MOST_MODELS = 8;

/** @param {HTMLElement} element */
export function createSidebar(element) {
  const active = createJobList("Active", markLinks);
  const paused = createJobList("Paused", markLinks);
  const finished = createJobList("Finished", markLinks);
  const models = h("ul", { class: "model-list" });
  const modelsSection = h(
    "section",
    { class: "sidebar-section", hidden: true, "aria-label": "Models" },
    h("h2", {}, "Models"),
    models,
  );
  const none = h("p", { class: "sidebar-none", hidden: true }, "Your jobs appear here.");
  const cut = h(
    "p",
    { class: "sidebar-none", hidden: true },
    `Only the newest ${MOST_LISTED} jobs of each kind are listed.`,
  );
  const live = h("span", { class: "live" });
  fill(
    element,
    h(
      "div",
      { class: "sidebar-head" },
      h("a", { class: "brand", href: "#/" }, mark(), h("span", {}, PRODUCT)),
      h("a", { class: "button primary new-job", href: "#/new" }, icon("plus"), "New job"),
    ),
    h(
      "div",
      { class: "sidebar-body" },
      none,
      active.element,
      paused.element,
      finished.element,
      cut,
      createWorkerList().element,
      modelsSection,
    ),
    h(
      "div",
      { class: "sidebar-foot" },
      live,
      h("a", { href: "#/files" }, "Files and models"),
      h("a", { href: "docs" }, "API"),
    ),
  );
  element.addEventListener("keydown", moveFocus);

  function drawJobs() {
    const jobs = allJobs();
    const be = (/** @type {string} */ status) => jobs.filter((job) => job.status === status);
    active.draw([...be("running"), ...queue(), ...be("validating_files").reverse()]);
    paused.draw(be("paused"));
    finished.draw(jobs.filter(isFinished));
    none.hidden = !loaded || jobs.length > 0;
    cut.hidden = !more;
  }

  function drawModels() {
    const shown = [...resultModels().slice(0, MOST_MODELS), ...baseModels()];
    modelsSection.hidden = shown.length === 0;
    keyed(models, shown, ({ id }) => id, createModel, () => {});
    markLinks(element);
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

/** Marks the links to what is shown. @param {HTMLElement} element that they are in */
export function markLinks(element) {
  for (const link of element.querySelectorAll("a[href^='#']")) {
    const href = link.getAttribute("href") ?? "";
    const here = location.hash === href ||
      (/^#\/(jobs|chat)\//.test(href) && location.hash.startsWith(`${href}/`));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
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
