/**
 * Jobs on other machines. The server offers what waits in its queue; a worker that was offered a job
 * claims it, and gets a lease. From then on this is the handle of the job's process, as that of a
 * process here: what the worker reports are its events, and what it sends lies in the job's folder.
 *
 * The server alone decides who has a job. Every call of a worker carries the id of its lease, and that
 * of a lease that is over is refused: a worker that was taken for lost can neither write nor end a job
 * that another has now.
 *
 * @module
 */
import { DiskFullError } from "../../files/disk_error.ts";
import { VERSION } from "../../product.ts";
import { ApiError } from "../api_error.ts";
import type { QueueParts } from "../jobs/queue_parts.ts";
import type { JobQueue } from "../jobs/queue.ts";
import type { TrainingProcess } from "../jobs/training_process.ts";
import type { Pool as PoolService, WorkerSeen } from "../services.ts";
import { newId } from "../store/ids.ts";
import type { JobPlace, JobRecord } from "../store/records.ts";
import { Lease } from "./lease.ts";
import type { Offers } from "./offers.ts";
import { NeedsServer, type Portable, portable } from "./portable.ts";
import {
  type Claim,
  type Claimed,
  type Commit,
  LEASE_LOST,
  type Orders,
  type Report,
  type Traveller,
  type Worker,
} from "./protocol.ts";

export interface PoolParts
  extends Pick<QueueParts, "store" | "log" | "serverLog" | "storage" | "options" | "room"> {
  readonly offers: Pick<Offers, "make" | "remove" | "close">;
  readonly jobs: Pick<JobQueue, "claim">;
}

/** Milliseconds between two looks at what waits, besides those when something changes. */
const OFFER_MS = 5000;
/** Milliseconds for which a worker without a job is listed after it was last heard from. */
const SEEN_MS = 60_000;

export class Pool implements PoolService {
  readonly #leases = new Map<string, Lease>();
  readonly #seen = new Map<string, WorkerSeen & { readonly at: number }>();
  readonly #timers: ReturnType<typeof setInterval>[];
  /** Jobs that only the server's own workers can run. */
  readonly #bound = new Set<string>();
  readonly #unsubscribe: () => void;
  #offering: Promise<void> | undefined;
  #closed = false;

  constructor(readonly parts: PoolParts) {
    const { log } = parts, leaseMs = this.#seconds * 1000;
    this.#timers = [
      setInterval(() => this.#offer(), OFFER_MS),
      setInterval(() => this.#endSilent(leaseMs), Math.max(100, leaseMs / 10)),
    ];
    this.#unsubscribe = log.subscribe(({ data }) => {
      if (data.kind === "status" && data.status === "queued") this.#offer();
    });
    this.#offer();
  }

  get #seconds(): number {
    return this.parts.options.lease;
  }

  hello(worker: Worker): void {
    this.#meet(worker);
  }

  workers(): WorkerSeen[] {
    const now = performance.now();
    for (const [name, { at }] of this.#seen) if (now - at > SEEN_MS) this.#seen.delete(name);
    const idle = [...this.#seen.values()].map(({ worker, card }) => ({ worker, card }));
    const busy = [...this.#leases.values()].map(({ place: { worker, card } }) => ({
      worker,
      card,
    }));
    return [...new Map([...idle, ...busy].map((each) => [each.worker, each])).values()]
      .sort((a, b) => a.worker < b.worker ? -1 : 1);
  }

  /** Resolves when the worker can begin; throws an ApiError 409 if the job does not wait for one. */
  async claim(claim: Claim): Promise<Claimed> {
    this.#meet(claim);
    const { worker, card, job, offer } = claim, id = newId("lease");
    const ready = Promise.withResolvers<Portable>();
    ready.promise.catch(() => {}); // it may end before anyone waits
    const lease = this.#open(id, job, { worker, card, lease: id, offer }, () => {
      ready.reject(lost(`job ${job} has ended meanwhile`));
    });
    try {
      const ended = this.parts.jobs.claim(job, lease.place, (task) => {
        portable(task).then(ready.resolve, (error) => {
          this.#cannotLeave(lease, error);
          ready.reject(error);
        });
        return lease.process;
      });
      // It may have ended before it had a process.
      ended.finally(() => lease.process.kill());
    } catch (error) {
      this.#leases.delete(id);
      throw error;
    }
    const { sources, ...rest } = await lease.during(async () => {
      await lease.incoming.clear();
      return await ready.promise;
    });
    lease.sources = sources;
    return { lease: id, seconds: this.#seconds, ...rest };
  }

  /** What a lease of an earlier server goes on with; undefined for a job without one. */
  attach({ id, runsOn }: JobRecord): TrainingProcess | undefined {
    if (!runsOn?.lease) return undefined;
    return this.#open(runsOn.lease, id, runsOn).process;
  }

  /** Resolves when what is reported would survive a power failure. */
  async report(id: string, { events, end }: Report): Promise<Orders> {
    const lease = this.#find(id), { process } = lease;
    await lease.during(async () => {
      await process.take(events);
      await this.parts.store.sync();
    });
    if (end) {
      const { left, ...exit } = end;
      process.end({ ...exit, ...(left && { lost: `Worker ${lease.place.worker} ${left}` }) });
    } else this.#find(id);
    return { stop: process.isToStop };
  }

  /** The path of an input. */
  input(id: string, sha256: string): string {
    const path = this.#find(id).sources.get(sha256);
    if (path) return path;
    throw new ApiError(404, { message: `No such input: ${sha256}`, code: "not_found" });
  }

  async receive(
    id: string,
    file: Pick<Traveller, "path" | "sha256">,
    stream: ReadableStream<Uint8Array>,
    length: number,
  ): Promise<void> {
    const lease = this.#find(id), { storage, room } = this.parts;
    if (!await room.makeRoom(length)) {
      const error = new DiskFullError(`the data folder has no room for ${file.path} of the job`);
      lease.process.fail(error);
      throw error;
    }
    await lease.incoming.receive(stream, file, (count) => {
      // Of a lease that has ended meanwhile nothing more is written.
      this.#find(id).hear();
      storage.account(count);
      return Promise.resolve();
    });
  }

  async commit(id: string, { files, keep }: Commit): Promise<void> {
    const lease = this.#find(id);
    await lease.during(() => lease.incoming.commit(files, keep));
    this.parts.storage.remeasure();
  }

  /** Workers go on with what they have. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const each of this.#timers) clearInterval(each);
    this.#unsubscribe();
    await this.#offering;
    await this.parts.offers.close();
  }

  #meet({ version, worker, card }: Worker): void {
    if (version !== VERSION) {
      throw new ApiError(409, {
        message:
          `worker ${worker} is of version ${version}, the server of ${VERSION}: use the same`,
        code: "other_version",
      });
    }
    this.#seen.set(worker, { worker, card, at: performance.now() });
  }

  #find(id: string): Lease {
    const lease = this.#leases.get(id);
    if (!lease) throw lost("the lease is over: the job has ended, or is another worker's");
    lease.hear();
    return lease;
  }

  #open(id: string, jobId: string, place: JobPlace, onOver = () => {}): Lease {
    const lease = new Lease(id, jobId, place, this.parts.storage.jobFolder(jobId), () => {
      this.#leases.delete(id);
      const { worker, card } = place;
      this.#seen.set(worker, { worker, card, at: performance.now() });
      onOver();
      // At the server's end the worker keeps its offer, as it keeps its lease.
      if (!this.#closed && place.offer) this.#withdraw(place.offer);
    });
    this.#leases.set(id, lease);
    return lease;
  }

  #withdraw(id: string): void {
    this.parts.offers.remove({ id }).then(() => this.#offer(), (error) => this.#report(error));
  }

  #cannotLeave({ process, jobId }: Lease, error: unknown): void {
    const isBound = error instanceof NeedsServer;
    if (isBound) this.#bound.add(jobId);
    // Where the server has no workers, it waits for someone to act.
    if (!isBound || this.parts.options.workers === 0) return process.fail(error);
    process.end({ code: 1, signal: null, log: "", lost: error.message });
  }

  /** One after another; what changes meanwhile is looked at afterwards. */
  #offer(): void {
    if (this.#closed) return;
    const { offers } = this.parts;
    this.#offering = (this.#offering ?? Promise.resolve())
      .then(() => this.#closed ? undefined : offers.make(this.#waiting()))
      .catch((error) => this.#report(error));
  }

  #waiting(): JobRecord[] {
    return this.parts.store.jobs.withStatus("queued").filter(({ id }) => !this.#bound.has(id));
  }

  #report(error: Error): void {
    if (!this.#closed) this.parts.serverLog.error(`queue: ${error.message}`);
  }

  #endSilent(leaseMs: number): void {
    for (const { process, place: { worker }, silence } of this.#leases.values()) {
      if (silence < leaseMs) continue;
      const reason = `Worker ${worker} was not heard from for ${this.#seconds} s`;
      process.end({ code: 1, signal: null, log: "", lost: reason });
    }
  }
}

function lost(message: string): ApiError {
  return new ApiError(409, { message, code: LEASE_LOST });
}
