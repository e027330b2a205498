/**
 * Offers of jobs to workers on other machines, in PostgreSQL by pg-boss. An offer only says that a job
 * waits: whether a worker gets it, its server decides (`pool.ts`). So nothing is lost if the database
 * is away, or is set back; the server makes its offers again.
 *
 * @module
 */
import type { PgBoss } from "../../packages/pg_boss.ts";
import { UserError } from "../../options/user_error.ts";
import { option, phrase } from "../../options/phrase.ts";

/** An offer that a worker has taken and nobody else has. */
export interface Offer {
  readonly id: string;
  /** The job's. */
  readonly job: string;
  /** Its processes. */
  readonly ranks: number;
}

/** Jobs of so many processes have a queue of their own: not every worker can run them. */
const queueOf = (ranks: number) => ranks === 1 ? "jobs" : `jobs-${ranks}`;

const SCHEMA = "trainer_queue";
/** Seconds: pg-boss takes none below. */
const SHORTEST_HEARTBEAT = 10;
/** Seconds after which pg-boss offers a job anew all the same: its longest, a day. */
const LONGEST = 24 * 3600 - 1;

export interface OffersOptions {
  /** `postgres://user@host/database`. */
  readonly url: string;
  /** Seconds without a sign of life after which an offer is made again; only its server says so. */
  readonly lease?: number;
  /** A fault of the connection, which is tried again. */
  readonly onFault: (message: string) => void;
}

export class Offers {
  /** The queues that are known to be there. */
  readonly #queues = new Map<number, Promise<string>>();

  private constructor(readonly boss: PgBoss, readonly lease: number | undefined) {}

  /** Makes the queue's tables if they are not there. Throws a {@link UserError} without a database. */
  static async open({ url, lease, onFault }: OffersOptions): Promise<Offers> {
    const { PgBoss } = await import("../../packages/pg_boss.ts");
    const boss = new PgBoss({
      connectionString: url,
      schema: SCHEMA,
      application_name: "trainer",
      // Each would ask for more of the machine, for what nobody here looks at.
      registerInstance: false,
      schedule: false,
      openTelemetry: { enabled: false },
    });
    boss.on("error", (error) => onFault(error.message));
    const offers = new Offers(boss, lease);
    try {
      await boss.start();
      await offers.#queue(1);
    } catch (error) {
      await boss.stop({ graceful: false }).catch(() => {});
      throw new UserError(
        phrase`${option("queue", withoutPassword(url))}: ${whyNot(error)}`,
        "it must be the address of a PostgreSQL database in which the user may make a schema: " +
          "postgres://user:password@host:5432/database",
      );
    }
    return offers;
  }

  /** Its name, once it is there. */
  #queue(ranks: number): Promise<string> {
    const known = this.#queues.get(ranks);
    if (known) return known;
    const made = this.#makeQueue(queueOf(ranks));
    this.#queues.set(ranks, made);
    made.catch(() => this.#queues.delete(ranks));
    return made;
  }

  async #makeQueue(name: string): Promise<string> {
    const { boss, lease } = this;
    const heartbeatSeconds = Math.max(SHORTEST_HEARTBEAT, Math.ceil(lease ?? 0));
    const limits = { retryLimit: 1000, expireInSeconds: LONGEST, heartbeatSeconds };
    // Exclusive: of each job there is one offer at most.
    await boss.createQueue(name, { policy: "exclusive", ...limits });
    if (lease !== undefined) await boss.updateQueue(name, limits);
    return name;
  }

  /** Offers jobs, the lowest turn first; those that are offered already, or taken, stay as they are. */
  async make(
    jobs: readonly { readonly id: string; readonly turn: number; readonly ranks: number }[],
  ): Promise<void> {
    for (const [ranks, alike] of Map.groupBy(jobs, ({ ranks }) => ranks)) {
      await this.boss.insert(
        await this.#queue(ranks),
        alike.map(({ id, turn }) => ({ data: { job: id }, singletonKey: id, priority: -turn })),
      );
    }
  }

  /** The next offer of a job of so many processes, or else so many, if there is one. */
  async take(sizes: readonly number[]): Promise<Offer | undefined> {
    for (const ranks of sizes) {
      const [taken] = await this.boss.fetch<{ readonly job: string }>(await this.#queue(ranks));
      if (taken) return { id: taken.id, job: taken.data.job, ranks };
    }
  }

  /** A sign of life of whoever has taken it. */
  async touch({ id, ranks }: Pick<Offer, "id" | "ranks">): Promise<void> {
    await this.boss.touch(await this.#queue(ranks), id);
  }

  /** Removes it, so that its job can be offered again. */
  async remove({ id, ranks }: Pick<Offer, "id" | "ranks">): Promise<void> {
    await this.boss.deleteJob(await this.#queue(ranks), id);
  }

  async close(): Promise<void> {
    await this.boss.stop({ graceful: false });
  }
}

function whyNot(error: unknown): string {
  // Of several addresses that were tried, none of which answered.
  const { message, errors } = error as AggregateError;
  return message || errors?.map((each: Error) => each.message).join(", ") || String(error);
}

/** Stands in an address, which would encode an ellipsis. */
const HIDDEN = "hidden-password";

/** An address as a log may have it. */
export function withoutPassword(address: string): string {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  if (url.password) url.password = HIDDEN;
  for (const name of url.searchParams.keys()) {
    if (/password/i.test(name)) url.searchParams.set(name, HIDDEN);
  }
  return url.href.replaceAll(HIDDEN, "…");
}
