/** What runs jobs, and which. */
import { request } from "./api.js";
import { onJobsChanged, runningOn } from "./jobs.js";

/** @typedef {{ id: string, card: string, job: string | null }} Worker */

/** @type {Worker[]} */
let workers = [];
const changes = new EventTarget();

/** Milliseconds between looks: no event tells of a worker that comes or goes. */
const LOOK_EVERY = 10_000;

/** @returns {readonly Worker[]} */
export function allWorkers() {
  return workers;
}

async function loadWorkers() {
  workers = (await request("/v1/workers")).data;
  changes.dispatchEvent(new Event("change"));
}

/** @param {() => void} listener */
export function onWorkersChanged(listener) {
  changes.addEventListener("change", listener);
}

let places = "";
/** Also when a job has come to a worker, or has left it. */
export function watchWorkers() {
  const look = () => void (document.hidden || loadWorkers().catch(() => {}));
  onJobsChanged(() => {
    const now = runningOn().join();
    if (now !== places) look();
    places = now;
  });
  setInterval(look, LOOK_EVERY);
  look();
}
