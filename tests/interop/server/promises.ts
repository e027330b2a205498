/** What a server promises, whatever happened to it: each check returns the promises that it broke. */
import {
  Api,
  jobPath,
  type JobRef,
  pause,
  type TestServer,
  trainingProcesses,
  until,
} from "./support.ts";

/** Milliseconds within which a server notices what became of a job, on a busy machine. */
const NOTICES_MS = 10_000;
/** Milliseconds without a new step after which a job is taken to be stuck. */
const STUCK_MS = 15_000;

const FINAL = ["succeeded", "failed", "cancelled"];

/** Milliseconds that a process takes to end after a fault. */
const DYING_MS = 1000;

/** Undefined while the process lives, otherwise how it ended and its last words. */
export async function death({ process, log }: TestServer): Promise<string | undefined> {
  const ended = await Promise.race([process.status, pause(DYING_MS)]);
  if (!ended) return undefined;
  const words = log().trim().split("\n").findLast((line) => /error|cannot/i.test(line)) ?? "";
  return `the server died (${ended.signal ?? ended.code}): ${words.trim()}`;
}

/** Every job has a status that something stands behind, and what stands still has a reason. */
export async function statusFaults(
  server: TestServer,
  api: Api,
  jobs: readonly JobRef[],
): Promise<string[]> {
  const look = async () => {
    const states = await Promise.all(jobs.map((job) => api.get(jobPath(job))));
    const processes = trainingProcesses(server.process.pid).length;
    const running = states.some(({ status }) => status === "running");
    return states.flatMap(({ status, status_reason, error }) => {
      if (status === "running" && !processes) return ["a job is running without a process"];
      if (status === "validating_files") return ["a job is still validating"];
      if (status === "queued" && !running) return ["a job is queued, and none is running"];
      if (status === "paused" && !status_reason) return ["a job is paused without a reason"];
      if (status === "failed") return [`a job failed: ${error.code}: ${error.message}`];
      return [];
    });
  };
  let faults: string[] = [];
  await until(NOTICES_MS, async () => {
    faults = await look();
    return faults.length === 0 || undefined;
  });
  return faults;
}

/** Waits until no job runs or is about to. */
export async function untilQuiet(api: Api, jobs: readonly JobRef[]): Promise<void> {
  await until(NOTICES_MS, async () => {
    const states = await Promise.all(jobs.map((job) => api.get(jobPath(job))));
    return states.every(({ status }) => status === "paused" || FINAL.includes(status)) || undefined;
  });
}

/** Whatever reads is answered. */
export async function readFaults(api: Api, jobs: readonly JobRef[]): Promise<string[]> {
  const paths = ["/files", "/fine_tuning/jobs", "/pretraining/jobs", "/models"];
  for (const job of jobs) {
    for (const what of ["", "/events", "/checkpoints", "/metrics"]) paths.push(jobPath(job) + what);
  }
  return await gather(paths.map((path) => () => api.get(path)));
}

/** A file can be deleted, and is gone. */
export async function deleteFaults(api: Api, file: string): Promise<string[]> {
  const faults = await gather([() => api.delete(`/files/${file}`)]);
  if (faults.length) return faults;
  const { data } = await api.get("/files?limit=100");
  return data.some(({ id }: { id: string }) => id === file) ? ["a deleted file is listed"] : [];
}

/** What is asked for while nothing can be written is done, or refused with a reason. */
export async function refusalFaults(request: () => Promise<unknown>): Promise<string[]> {
  const [fault] = await gather([request]);
  if (!fault) return [];
  const refused = /: (4\d\d|507) \{"error":\{"message":"[^"]*(disk|space|room|quota)/i.test(fault);
  return refused ? [] : [`refused without the reason: ${fault}`];
}

/** Paused jobs can be resumed, and each comes to its end with every step once. */
export async function endFaults(
  api: Api,
  jobs: readonly JobRef[],
  steps: number,
): Promise<string[]> {
  const faults: string[] = [];
  for (const job of jobs) {
    const { status } = await api.get(jobPath(job));
    if (status !== "paused") continue;
    faults.push(...await gather([() => api.post(`${jobPath(job)}/resume`)]));
  }
  for (const job of jobs) {
    const { status, status_reason, error } = await outcome(api, job);
    if (status !== "succeeded") {
      const why = status_reason ?? error?.message ?? "without a reason";
      faults.push(`a job did not succeed when there was room: ${status}: ${why}`);
    } else faults.push(...await stepFaults(api, job, steps));
  }
  return faults;
}

/** The job when it has ended or paused, or makes no progress any more. */
// deno-lint-ignore no-explicit-any
async function outcome(api: Api, job: JobRef): Promise<any> {
  let seen = "", since = performance.now();
  for (;;) {
    const now = await api.get(jobPath(job));
    if (FINAL.includes(now.status) || now.status === "paused") return now;
    const all = await api.get(`/${job.kind}/jobs`);
    // Of all jobs: others may come first.
    const progress = JSON.stringify(
      // deno-lint-ignore no-explicit-any
      all.data.map(({ status, progress, preparation }: any) => [status, progress, preparation]),
    );
    if (progress !== seen) [seen, since] = [progress, performance.now()];
    else if (performance.now() - since > STUCK_MS) return now;
    await pause(100);
  }
}

async function stepFaults(api: Api, job: JobRef, steps: number): Promise<string[]> {
  const curves = await api.get(`${jobPath(job)}/metrics?max_points=5000`);
  const told = curves.steps.map(({ step }: { step: number }) => step);
  const whole = told.length === steps && told.every((step: number, at: number) => step === at + 1);
  return whole ? [] : [`its curves do not have each step once: ${told.length} points of ${steps}`];
}

/** What did not go well. */
async function gather(requests: readonly (() => Promise<unknown>)[]): Promise<string[]> {
  const answers = await Promise.allSettled(requests.map((request) => request()));
  return answers.flatMap((each) =>
    each.status === "rejected" ? [(each.reason as Error).message] : []
  );
}
