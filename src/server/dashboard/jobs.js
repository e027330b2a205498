/** The page's jobs: loaded once, then kept up to date by the event stream. */
import { list, MOST_LISTED, post, request } from "./api.js";
import { serverNow } from "./clock.js";
import { LATEST, paceOf } from "./pace.js";

/**
 * A job as in the API: OpenAI's shape with our own extensions.
 * @typedef {Record<string, any> & { id: string, status: string, created_at: number }} Job
 *
 * An event of a job.
 * @typedef {object} JobEvent
 * @property {string} id
 * @property {string} job_id
 * @property {number} created_at
 * @property {string} level
 * @property {string} type
 * @property {string} message
 * @property {Record<string, any>} data
 */

/** @type {Map<string, Job>} */
const jobs = new Map();
const changes = new EventTarget();
export let loaded = false;
/** Whether there are older jobs than those listed. */
export let more = false;

/** Newest first. @returns {Job[]} */
export function allJobs() {
  return [...jobs.values()].sort((a, b) => b.sequence - a.sequence);
}

/** Jobs that wait for their turn, in the order in which they will run. @returns {Job[]} */
export function queue() {
  return [...jobs.values()].filter(({ status }) => status === "queued")
    .sort((a, b) => a.queue_turn - b.queue_turn);
}

/** The running jobs, each with its workers. @returns {string[]} */
export function runningOn() {
  return [...jobs.values()].filter(({ status }) => status === "running")
    .map((job) => `${job.id} ${placesOf(job).map(({ worker }) => worker).join(" ")}`);
}

/**
 * Where the processes of a running job run.
 *
 * @param {Job} job
 * @returns {{ worker: string, card: string }[]}
 */
export function placesOf({ runs_on }) {
  return runs_on ? [runs_on, ...runs_on.others] : [];
}

/** @param {string} id */
export function jobOf(id) {
  return jobs.get(id);
}

/** @param {() => void} listener @returns {() => void} ends it */
export function onJobsChanged(listener) {
  changes.addEventListener("change", listener);
  return () => changes.removeEventListener("change", listener);
}

let due = false;
function changed() {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    changes.dispatchEvent(new Event("change"));
  });
}

export async function loadJobs() {
  const lists = await Promise.all([list("/v1/fine_tuning/jobs"), list("/v1/pretraining/jobs")]);
  jobs.clear();
  for (const job of lists.flat()) jobs.set(job.id, job);
  more = lists.some(({ length }) => length >= MOST_LISTED);
  loaded = true;
  changed();
}

/** @param {string} id */
export function pathOf(id) {
  const kind = id.startsWith("ptjob-") ? "pretraining" : "fine_tuning";
  return `/v1/${kind}/jobs/${encodeURIComponent(id)}`;
}

/** @param {string} id */
export async function reloadJob(id) {
  return keep(await request(pathOf(id)));
}

/** @param {Job} job */
export function keep(job) {
  jobs.set(job.id, job);
  changed();
  return job;
}

/** @param {string} id @param {"cancel" | "pause" | "resume"} action */
export async function act(id, action) {
  return keep(await post(`${pathOf(id)}/${action}`));
}

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
const reloads = new Map();

/**
 * Applies steps directly; other events may have changed the state, so the job is reloaded.
 *
 * @param {JobEvent[]} events
 */
export function applyEvents(events) {
  for (const { job_id, type, data } of events) {
    const job = jobs.get(job_id);
    if (job && type === "metrics" && data.train_loss !== undefined) {
      noteSteps(job_id, [/** @type {any} */ (data)]);
      const progress = { step: data.step, total_steps: data.total_steps };
      jobs.set(job_id, { ...job, progress, preparation: null, activity: null });
      changed();
      if (job.status === "running") continue;
    } else if (type === "metrics") continue;
    if (reloads.has(job_id)) continue;
    // Several events at once cause one reload.
    reloads.set(
      job_id,
      setTimeout(() => {
        reloads.delete(job_id);
        reloadJob(job_id).catch(() => {});
      }, 150),
    );
  }
}

/** Latest steps of running jobs. @type {Map<string, import("./pace.js").Timed[]>} */
const latest = new Map();

/**
 * Notes steps for a job's pace: those newer than the ones known.
 *
 * @param {string} id
 * @param {readonly (import("./pace.js").Timed & { valid_loss?: number })[]} steps
 */
export function noteSteps(id, steps) {
  const known = latest.get(id) ?? [];
  const last = known.at(-1)?.step ?? 0;
  const timed = steps.filter(({ step, valid_loss }) => step > last && valid_loss === undefined);
  latest.set(id, [...known, ...timed].slice(-LATEST));
}

/** Seconds until the end of a running job, evaluations left out. @param {Job} job */
export function secondsLeft(job) {
  if (job.status !== "running") return undefined;
  const { step, total_steps } = job.progress ?? {};
  const { secondsPerStep } = paceOf(latest.get(job.id) ?? []);
  if (secondsPerStep !== undefined && total_steps) return (total_steps - step) * secondsPerStep;
  if (job.estimated_finish) return Math.max(0, job.estimated_finish - serverNow());
  return undefined;
}

/** 0 to 1; undefined before the first step. @param {Job} job */
export function shareDone(job) {
  if (job.status === "succeeded") return 1;
  return job.progress?.total_steps ? job.progress.step / job.progress.total_steps : undefined;
}

/** Display name: its suffix, or its model. @param {Job} job */
export function titleOf(job) {
  return job.user_provided_suffix || modelOf(job);
}

/** A pre-training run may have a configuration instead of a name. @param {Job} job */
export function modelOf(job) {
  return typeof job.model === "string" ? job.model : "custom model";
}

/** The name of its result. @param {Job} job @returns {string | undefined} */
export function resultOf(job) {
  return job.fine_tuned_model ?? job.trained_model ?? undefined;
}

export const FINAL = ["succeeded", "failed", "cancelled"];

/** @param {Job} job */
export function isFinished(job) {
  return FINAL.includes(job.status);
}
