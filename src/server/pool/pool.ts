/**
 * Jobs on other machines. The server offers what waits in its queue; a worker that was offered a job
 * claims it, and gets a lease. From then on this is the handle of the job's process, as that of a
 * process here: what the worker reports are its events, and what it sends lies in the job's folder.
 *
 * The server alone decides who has a job. Every call for a job carries the id of its lease, and that of
 * a lease that is over is refused: a worker that was taken for lost can neither write nor end a job
 * that another has now.
 *
 * @module
 */
import { DiskFullError } from "../../files/disk_error.ts";
import { ApiError } from "../api_error.ts";
import { bodyChunks } from "../files/body_chunks.ts";
import type { QueueParts } from "../jobs/queue_parts.ts";
import type { JobQueue } from "../jobs/queue.ts";
import type { TrainingProcess } from "../jobs/training_process.ts";
import type { Pool as PoolService, WorkerSeen } from "../services.ts";
import { newId } from "../store/ids.ts";
import { type JobPlace, type JobRecord, placesOf, ranksOf } from "../store/records.ts";
import { Lease } from "./lease.ts";
import type { Offers } from "./offers.ts";
import { NeedsServer, type Portable, portable } from "./portable.ts";
import {
  type Claim,
  type Claimed,
  type Commit,
  type End,
  type Greeting,
  type Hello,
  LEASE_LOST,
  type Orders,
  type Report,
  type Traveller,
  WAS_STOPPED,
} from "./protocol.ts";
import { Roll } from "./roll.ts";
import { Stranded } from "./stranded.ts";

export interface PoolParts
  extends Pick<QueueParts, "store" | "log" | "serverLog" | "storage" | "options" | "room"> {
  readonly offers: Pick<Offers, "make" | "remove" | "close">;
  readonly jobs: Pick<JobQueue, "claim" | "ended" | "canRun">;
  /** For tests: milliseconds of a clock. */
  readonly now?: () => number;
}

/** Milliseconds between two looks at what waits, besides those when something changes. */
const OFFER_MS = 5000;
/** Ends of leases that are remembered. */
const MOST_ENDED = 100;

export class Pool implements PoolService {
  readonly #leases = new Map<string, Lease>();
  /** The latest that their workers have ended, and when that is stored: the answer may be lost. */
  readonly #ended = new Map<string, Promise<void>>();
  readonly #roll: Roll;
  readonly #timers: ReturnType<typeof setInterval>[];
  /** Jobs that only the server's own workers can run. */
  readonly #bound = new Set<string>();
  readonly #stranded: Stranded;
  readonly #unsubscribe: () => void;
  #offering: Promise<void> | undefined;
  /** Of what ended leases have left. */
  #clearing: Promise<void> = Promise.resolve();
  /** The server's end has begun: whoever asks for a lease shall ask the next one. */
  #stopping = false;
  #closed = false;

  constructor(readonly parts: PoolParts) {
    const { log } = parts, leaseMs = this.#seconds * 1000;
    this.#roll = new Roll(() => [...this.#leases.values()].map(({ place }) => place), parts.now);
    this.#stranded = new Stranded(log, (job) => parts.jobs.canRun(job));
    this.#timers = [
      setInterval(() => this.look(), OFFER_MS),
      setInterval(() => this.#endSilent(leaseMs), Math.max(100, leaseMs / 10)),
    ];
    this.#unsubscribe = log.subscribe(({ jobId, data: { kind, status } }) => {
      if (kind !== "status") return;
      if (status === "queued") return this.#offer();
      // Once it is resumed, someone may have acted.
      if (status === "running") return;
      this.#bound.delete(jobId);
      this.#stranded.forget(jobId);
    });
    this.#offer();
  }

  get #seconds(): number {
    return this.parts.options.lease;
  }

  hello(hello: Hello): Greeting {
    this.#roll.meet(hello, hello.ranks);
    const next = this.#waiting().find((job) => ranksOf(job) <= hello.ranks);
    return { next: next ? ranksOf(next) : null };
  }

  workers(): WorkerSeen[] {
    return this.#roll.workers();
  }

  get mostRanks(): number {
    return this.#roll.mostRanks;
  }

  /** Offers what waits, and says so of what nobody is there to run. */
  look(): void {
    this.#offer();
    try {
      this.#stranded.look(this.#waiting(), this.mostRanks);
    } catch (error) {
      this.#report(error as Error);
    }
  }

  /** Resolves when the worker can begin; throws an ApiError 409 if the job does not wait for one. */
  async claim(claim: Claim): Promise<Claimed> {
    this.#roll.meet(claim);
    if (this.#stopping) throw stopping();
    const { workers, job, offer } = claim, id = newId("lease");
    const place = { ...toPlace(workers), lease: id, offer };
    this.#assertSize(job, workers.length);
    const ready = Promise.withResolvers<Portable>();
    ready.promise.catch(() => {}); // it may end before anyone waits
    const lease = this.#open(id, job, place, () => {
      ready.reject(this.#stopping ? stopping() : lost(`job ${job} has ended meanwhile`));
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
    const { sources, ...rest } = await lease.during(() => ready.promise);
    lease.sources = sources;
    return { lease: id, seconds: this.#seconds, ...rest };
  }

  /** What a lease of an earlier server goes on with; undefined for a job without one. */
  attach({ id, runsOn }: JobRecord): TrainingProcess | undefined {
    if (!runsOn?.lease) return undefined;
    return this.#open(runsOn.lease, id, runsOn).process;
  }

  /**
   * Resolves when what is reported, and what becomes of a job whose end it is, would survive a power
   * failure. A report of an end may come again.
   */
  async report(id: string, { events, end }: Report): Promise<Orders> {
    const ended = end && this.#ended.get(id);
    if (ended) {
      await ended;
      return { stop: true };
    }
    const lease = this.#find(id), { process } = lease;
    await lease.during(async () => {
      await process.take(events);
      await this.parts.store.sync();
    });
    this.#find(id); // not all may have been recorded of a lease that has ended meanwhile
    if (end) await this.#end(lease, end);
    return { stop: process.isToStop };
  }

  async #end({ id, jobId, place, process }: Lease, { left, ...exit }: End): Promise<void> {
    const { jobs, store } = this.parts;
    const stored = jobs.ended(jobId).then(async () => {
      await store.sync();
      // A crash while the server stops is the next one's to record.
      if (this.#stopping && store.jobs.get(jobId)?.runsOn?.lease === id) throw stopping();
    });
    this.#ended.set(id, stored);
    if (this.#ended.size > MOST_ENDED) this.#ended.delete(this.#ended.keys().next().value!);
    const lost = left !== undefined &&
      { reason: `Worker ${place.worker} ${left}`, isFault: left !== WAS_STOPPED };
    process.end({ ...exit, ...(lost && { lost }) });
    await stored;
  }

  /** The path of an input. */
  input(id: string, sha256: string): string {
    const path = this.#find(id).sources.get(sha256);
    if (path) return path;
    throw new ApiError(404, { message: `No such input: ${sha256}`, code: "not_found" });
  }

  async receive(
    id: string,
    file: Traveller,
    stream: ReadableStream<Uint8Array>,
  ): Promise<void> {
    const lease = this.#find(id), { storage, room } = this.parts;
    const noRoom = () => {
      const error = new DiskFullError(`the data folder has no room for ${file.path} of the job`);
      lease.process.fail(error);
      return error;
    };
    if (!await room.makeRoom(file.bytes)) throw noRoom();
    try {
      await lease.incoming.receive(bodyChunks(stream.getReader()), file, async (count) => {
        // Of a lease that has ended meanwhile nothing more is written.
        this.#find(id);
        if (count > await storage.free()) throw noRoom();
        storage.account(count);
      });
    } catch (error) {
      storage.remeasure();
      throw error;
    }
  }

  async commit(id: string, commit: Commit): Promise<void> {
    const lease = this.#find(id);
    await lease.during(() => lease.incoming.commit(commit));
    this.parts.storage.remeasure();
  }

  /** From now on workers are told to ask again: the next server has their leases. */
  stop(): void {
    this.#stopping = true;
  }

  /** Workers go on with what they have. */
  async close(): Promise<void> {
    this.stop();
    this.#closed = true;
    for (const each of this.#timers) clearInterval(each);
    this.#unsubscribe();
    await Promise.all([this.#offering, this.#clearing]);
    await this.parts.offers.close();
  }

  /** A worker is offered what it can run. */
  #assertSize(id: string, workers: number): void {
    const job = this.parts.store.jobs.get(id);
    if (!job || ranksOf(job) === workers) return;
    throw new ApiError(409, {
      message: `job ${id} has ${ranksOf(job)} processes, and was claimed for ${workers}`,
      code: "other_size",
    });
  }

  #find(id: string): Lease {
    const lease = this.#leases.get(id);
    if (!lease && this.#stopping) throw stopping();
    if (!lease) throw lost("the lease is over: the job has ended, or is another worker's");
    lease.hear();
    return lease;
  }

  #open(id: string, jobId: string, place: JobPlace, onOver = () => {}): Lease {
    const lease = new Lease(id, jobId, place, this.parts.storage.jobFolder(jobId), () => {
      this.#leases.delete(id);
      this.#roll.left(placesOf(place), lease.silence);
      onOver();
      // At the server's end the worker keeps its offer, as it keeps its lease.
      if (lease.process.isLeft) return;
      if (place.offer) this.#withdraw({ id: place.offer, ranks: placesOf(place).length });
      const cleared = lease.incoming.clear()
        .catch((error) => this.parts.serverLog.fault(error, { job_id: jobId }));
      this.#clearing = Promise.all([this.#clearing, cleared]).then(() => {});
    });
    this.#leases.set(id, lease);
    return lease;
  }

  #withdraw(offer: Parameters<Offers["remove"]>[0]): void {
    this.parts.offers.remove(offer).then(() => this.#offer(), (error) => this.#report(error));
  }

  #cannotLeave({ process, jobId }: Lease, error: unknown): void {
    const isBound = error instanceof NeedsServer;
    if (isBound) this.#bound.add(jobId);
    // Where the server has no workers, or too few, it waits for someone to act.
    const { jobs, store } = this.parts;
    if (!isBound || !jobs.canRun(store.jobs.get(jobId)!)) return process.fail(error);
    const lost = { reason: error.message, isFault: false };
    process.end({ code: 1, signal: null, log: "", lost });
  }

  /** One after another; what changes meanwhile is looked at afterwards. */
  #offer(): void {
    if (this.#closed) return;
    const { offers } = this.parts;
    this.#offering = (this.#offering ?? Promise.resolve())
      .then(() => this.#closed ? undefined : offers.make(this.#offered()))
      .catch((error) => this.#report(error));
  }

  #waiting(): JobRecord[] {
    return this.parts.store.jobs.withStatus("queued").filter(({ id }) => !this.#bound.has(id));
  }

  #offered() {
    return this.#waiting().map((job) => ({ id: job.id, turn: job.turn, ranks: ranksOf(job) }));
  }

  #report(error: Error): void {
    if (!this.#closed) this.parts.serverLog.error(`queue: ${error.message}`);
  }

  #endSilent(leaseMs: number): void {
    for (const { process, place: { worker }, silence } of this.#leases.values()) {
      if (silence < leaseMs) continue;
      const reason = `Worker ${worker} was not heard from for ${this.#seconds} s`;
      process.end({ code: 1, signal: null, log: "", lost: { reason, isFault: true } });
    }
  }
}

function toPlace([first, ...others]: Claim["workers"]): JobPlace {
  return others.length ? { ...first, others } : first;
}

function lost(message: string): ApiError {
  return new ApiError(409, { message, code: LEASE_LOST });
}

function stopping(): ApiError {
  return new ApiError(503, {
    message: "the server is stopping: ask the next one",
    type: "server_error",
    code: "server_stopping",
  });
}
