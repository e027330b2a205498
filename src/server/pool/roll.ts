/** The workers on other machines, as they were last heard from. */
import { VERSION } from "../../product.ts";
import { ApiError } from "../api_error.ts";
import type { WorkerSeen } from "../services.ts";
import { type JobPlace, placesOf, type WorkerPlace } from "../store/records.ts";
import { type Claim, type Hello, MOST_WORKERS } from "./protocol.ts";

/** Names of the server's own workers. */
const OWN_NAME = /^server-\d+$/;
/** Milliseconds for which a worker without a job is listed after it was last heard from. */
const SEEN_MS = 60_000;

interface Seen extends WorkerSeen {
  /** When it was heard from. */
  readonly at: number;
  /** Whose it is; unknown of a lease of an earlier server. */
  readonly machine?: string;
  /** Most processes of a job that run there. */
  readonly ranks?: number;
}

export class Roll {
  readonly #seen = new Map<string, Seen>();

  /** When it knew nobody yet. */
  readonly #since: number;

  /** `leased` says which have a job. */
  constructor(
    readonly leased: () => readonly JobPlace[],
    readonly now: () => number = () => performance.now(),
  ) {
    this.#since = now();
  }

  #busy(): WorkerPlace[] {
    return this.leased().flatMap(placesOf);
  }

  /** Throws an ApiError 409 for another version, or a name that is another's; then none is listed. */
  meet({ version, machine, workers }: Claim | Hello, ranks?: number): void {
    const all = this.#fresh(), at = this.now();
    if (version !== VERSION) {
      throw new ApiError(409, {
        message:
          `worker ${workers[0].worker} is of version ${version}, the server of ${VERSION}: ` +
          "use the same",
        code: "other_version",
      });
    }
    for (const { worker } of workers) {
      const other = all.get(worker);
      if (OWN_NAME.test(worker)) {
        throw taken(`${worker} is the name of a worker of the server's own`);
      }
      if (other?.machine === undefined || other.machine === machine) continue;
      const seconds = Math.round((at - other.at) / 1000);
      throw taken(
        `${worker} is the name of a worker of another machine, which was heard from ${seconds} s ago`,
      );
    }
    for (const { worker, card } of workers) {
      const known = ranks ?? all.get(worker)?.ranks;
      this.#seen.set(worker, { worker, card, machine, ranks: known, at });
    }
  }

  /** They have no job any more, and last told of it so many milliseconds ago. */
  left(places: readonly WorkerPlace[], silence: number): void {
    const told = this.now() - silence;
    for (const { worker, card } of places) {
      const seen = this.#seen.get(worker), at = Math.max(told, seen?.at ?? told);
      this.#seen.set(worker, { ...seen, worker, card, at });
    }
  }

  /** In order of their names. */
  workers(): WorkerSeen[] {
    const idle = [...this.#fresh().values()].map(({ worker, card }) => ({ worker, card }));
    return [...new Map([...idle, ...this.#busy()].map((each) => [each.worker, each])).values()]
      .sort((a, b) => a.worker < b.worker ? -1 : 1);
  }

  /**
   * Most processes of a job that a machine can run; 0 without machines. Until all that are there must
   * have been heard from, as many as any could.
   */
  get mostRanks(): number {
    if (this.now() - this.#since < SEEN_MS) return MOST_WORKERS;
    const known = [...this.#fresh().values()].map(({ ranks = 1 }) => ranks);
    return Math.max(0, ...known, ...this.leased().map((place) => placesOf(place).length));
  }

  /** Without those that have no job, and have not been heard from for long. */
  #fresh(): ReadonlyMap<string, Seen> {
    const busy = new Set(this.#busy().map(({ worker }) => worker)), now = this.now();
    for (const [name, { at }] of this.#seen) {
      if (now - at > SEEN_MS && !busy.has(name)) this.#seen.delete(name);
    }
    return this.#seen;
  }
}

function taken(message: string): ApiError {
  return new ApiError(409, {
    message: `${message}: choose another name`,
    param: "worker",
    code: "name_taken",
  });
}
