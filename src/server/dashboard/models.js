/** Models for training and chat. */
import { request } from "./api.js";

/** @typedef {{ id: string, created: number, owned_by: string }} Model */

/** @type {Model[]} */
let models = [];
export let modelsLoaded = false;
const changes = new EventTarget();

export async function loadModels() {
  models = (await request("/v1/models")).data;
  modelsLoaded = true;
  changes.dispatchEvent(new Event("change"));
  return models;
}

/** Milliseconds between looks into an empty models folder: no event announces the first model. */
const LOOK_EVERY = 5000;
setInterval(() => {
  const waiting = modelsLoaded && !baseModels().length && !document.hidden;
  if (waiting) loadModels().catch(() => {});
}, LOOK_EVERY);

/** @param {() => void} listener @returns {() => void} ends it */
export function onModelsChanged(listener) {
  changes.addEventListener("change", listener);
  return () => changes.removeEventListener("change", listener);
}

export function baseModels() {
  return models.filter(({ id }) => !isResult(id)).sort((a, b) => a.id.localeCompare(b.id));
}

/** Results of jobs, newest first: the server lists them in the order of their jobs. */
export function resultModels() {
  return models.filter(({ id }) => isResult(id) && !isCheckpoint(id)).reverse();
}

/** Newest first, likewise. */
function checkpointModels() {
  return models.filter(({ id }) => isCheckpoint(id)).reverse();
}

/** @param {string} id */
function isCheckpoint(id) {
  return isResult(id) && id.includes(":ckpt-step-");
}

/** @param {string} id */
function isResult(id) {
  return /^(ft|pt):/.test(id);
}

/** `ft:llama3:poems:AbC12345` in short: `poems`. @param {string} id */
export function shortName(id) {
  if (!isResult(id)) return id;
  const [, base, suffix, , checkpoint] = id.split(":");
  return (suffix || base) + (checkpoint ? ` · ${checkpoint.replace("ckpt-step-", "step ")}` : "");
}

/**
 * Fills a select, with results in a separate group.
 *
 * @param {HTMLSelectElement} select
 * @param {string} chosen
 */
export function fillModelSelect(select, chosen) {
  select.textContent = "";
  const groups = [
    ["Results of jobs", resultModels()],
    ["Base models", baseModels()],
    ["Checkpoints", checkpointModels()],
  ];
  for (const [label, items] of /** @type {[string, Model[]][]} */ (groups)) {
    if (!items.length) continue;
    const group = document.createElement("optgroup");
    group.label = label;
    for (const { id } of items) group.append(new Option(id, id, false, id === chosen));
    select.append(group);
  }
}
