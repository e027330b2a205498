/** The page: one stream of events, one view at a time. */
import { onKeyNeeded } from "./api.js";
import { createBanner } from "./banner.js";
import { createChat } from "./chat.js";
import { askForKey } from "./dialogs.js";
import { h } from "./dom.js";
import { createFilesView } from "./files_view.js";
import { createHome } from "./home.js";
import { icon } from "./icons.js";
import { createJobView } from "./job_view.js";
import { allJobs, applyEvents, isFinished, loaded, loadJobs, queue } from "./jobs.js";
import { goLive, onEvents } from "./live.js";
import { loadModels } from "./models.js";
import { createNewJob } from "./new_job.js";
import { PRODUCT } from "./product.js";
import { parseRoute, redirect } from "./router.js";
import { createSidebar, markLinks } from "./sidebar.js";

/** @typedef {{ element: HTMLElement, focusTarget: HTMLElement, select?(tab: string): void, destroy(): void }} View */

const shell = /** @type {HTMLElement} */ (document.getElementById("shell"));
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const sidebar = /** @type {HTMLElement} */ (document.getElementById("sidebar"));
const narrow = matchMedia("(max-width: 859px)");

/** @type {View | undefined} */
let view;
let shown = "";
/** Why the jobs could not be loaded. */
let loadFault = "";

function showRoute() {
  const route = parseRoute(location.hash);
  markLinks(sidebar);
  shell.dataset.view = route.view;
  // The first view depends on what is loaded.
  if (route.view === "home" && !loaded) {
    main.replaceChildren(loadFault ? faultView(loadFault) : waitingView());
    return;
  }
  if (route.view === "home" && !narrow.matches && allJobs().length) {
    const jobs = allJobs();
    const job = jobs.find(({ status }) => status === "running") ?? queue()[0] ??
      jobs.find((it) => !isFinished(it)) ?? jobs[0];
    return redirect(`#/jobs/${encodeURIComponent(job.id)}`);
  }
  const key = `${route.view} ${route.id} ${route.query}`;
  if (key !== shown) {
    const first = shown === "";
    view?.destroy();
    view = createView(route);
    shown = key;
    main.replaceChildren(
      h("a", { class: "back", href: "#/" }, icon("back"), "Jobs"),
      view.element,
    );
    scrollTo(0, 0);
    // After navigation focus moves to the start of the new view, but not on page load.
    if (!first) view.focusTarget.focus({ preventScroll: true });
  }
  view?.select?.(route.tab);
}

/** @param {import("./router.js").Route} route @returns {View} */
function createView(route) {
  document.title = PRODUCT;
  switch (route.view) {
    case "job":
      return createJobView(route.id);
    case "new":
      return createNewJob(route.query.get("from"));
    case "chat":
      return createChat(route.id);
    case "files":
      return createFilesView();
    case "home":
      return createHome();
  }
}

function waitingView() {
  return h("h1", { class: "visually-hidden" }, `${PRODUCT}: loading`);
}

/** @param {string} message */
function faultView(message) {
  return h(
    "div",
    { class: "empty" },
    h("h1", { tabindex: -1 }, "The jobs could not be loaded"),
    h("p", { role: "alert" }, message),
    h("button", { type: "button", class: "button", on: { click: refresh } }, "Try again"),
  );
}

/** The stream resends missed events, but not jobs created or deleted meanwhile. */
function refresh() {
  const first = !loaded;
  loadJobs().then(() => first && showRoute()).catch((error) => {
    loadFault = error.message;
    if (first) showRoute();
  });
  loadModels().catch(() => {});
}

// A file that misses its field would replace the page, and all that is entered in it.
for (const type of /** @type {const} */ (["dragover", "drop"])) {
  globalThis.addEventListener(type, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}
onKeyNeeded(askForKey);
createSidebar(sidebar);
createBanner(/** @type {HTMLElement} */ (document.getElementById("banner")));
globalThis.addEventListener("hashchange", showRoute);
narrow.addEventListener("change", showRoute);
onEvents((events) => {
  applyEvents(events);
  if (events.some(({ type }) => type !== "metrics")) scheduleModels();
});
showRoute();
goLive({ signal: new AbortController().signal, onOpen: refresh });

/** @type {ReturnType<typeof setTimeout> | undefined} */
let modelsDue;
/** A finished job has created a model. */
function scheduleModels() {
  modelsDue ??= setTimeout(() => {
    modelsDue = undefined;
    loadModels().catch(() => {});
  }, 1000);
}
