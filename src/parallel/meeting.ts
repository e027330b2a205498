/**
 * Where ranks meet before an operation. Each sends every other a few bytes that say which operation it
 * has come to, counted from the first, and its length, and waits for those of all others.
 */
import { UserError } from "../options/user_error.ts";
import { formatBytes } from "../text.ts";
import type { Mpi } from "./mpi_library.ts";
import { OtherRankError } from "./other_rank_error.ts";
import { ranksText } from "./ranks.ts";

const KINDS = [
  "sum",
  "sum of shares",
  "broadcast",
  "collection of shares",
  "gather",
  "gift",
  "close",
] as const;
/** What ranks do together. */
export type OperationKind = typeof KINDS[number];

/** Milliseconds in which those that are about to come are waited for without a pause. */
const EAGER_MS = 0.5;
/** The longest pause between two questions, in milliseconds, and its share of the wait so far. */
const PAUSE_MS = 10, PAUSE_SHARE = 1 / 20;
/** Milliseconds until the first word of a wait; later ones take twice as long each. */
const NOTICE_MS = 30_000;
/**
 * Milliseconds for which those that do not come are waited for once the run is to stop, at least, or
 * as long as the longest time from one meeting to the next: a step may be long on one of them alone.
 */
const STOP_MS = 20_000;

/** Bytes of a status or a request, of either library, and more. */
export const RECORD_BYTES = 64;
/** Of all messages of meetings, which arrive in the order in which they are sent. */
const TAG = 1;

/** What a rank does while others do not come. */
export interface WhileWaiting {
  /** Called after half a minute, a minute, two, and so on, with what it waits for, and the ranks. */
  readonly onWait?: (message: string, missing: readonly number[]) => void;
  /**
   * Once aborted, those that have not come 20 seconds later, or after the longest time between two
   * operations so far if that is more, are given up: the operation fails.
   */
  readonly signal?: AbortSignal;
}

/** Where a rank is: its kind, the number of its operation, its bytes. */
type Place = Float64Array<ArrayBuffer>;

/** A message on its way from or to another rank. */
interface Message {
  readonly rank: number;
  readonly place: Place;
  readonly request: Uint8Array<ArrayBuffer>;
}

export class Meeting {
  #count = 0;
  /** When the run was first known to be stopping. */
  #aborted: number | undefined;
  /** When the last meeting was, and milliseconds from one to the next at most. */
  #last: number | undefined;
  #longest = 0;
  readonly #own: Place = new Float64Array(3);
  readonly #outgoing: readonly Message[];
  readonly #incoming: readonly Message[];
  readonly #status = new Uint8Array(RECORD_BYTES);
  readonly #flag = new Int32Array(1);

  constructor(
    private readonly mpi: Mpi,
    private readonly rank: number,
    private readonly size: number,
    private readonly waiting: WhileWaiting,
    private readonly times = { noticeMs: NOTICE_MS, stopMs: STOP_MS },
  ) {
    const others = Array.from({ length: size }, (_, rank) => rank).filter((each) => each !== rank);
    const request = () => new Uint8Array(RECORD_BYTES);
    this.#outgoing = others.map((rank) => ({ rank, place: this.#own, request: request() }));
    this.#incoming = others.map((rank) => {
      return { rank, place: new Float64Array(3), request: request() };
    });
    const { signal } = waiting, stop = () => this.#aborted = performance.now();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
  }

  /** Returns the bytes of all, by rank. Throws a {@link UserError} if one is elsewhere. */
  async meet(kind: OperationKind, bytes: number): Promise<readonly number[]> {
    const { mpi: { symbols, world, byte } } = this, own = this.#own;
    own.set([KINDS.indexOf(kind), ++this.#count, bytes]);
    for (const { rank, place, request } of this.#incoming) {
      symbols.MPI_Irecv(place, place.byteLength, byte, rank, TAG, world, request);
    }
    for (const { rank, place, request } of this.#outgoing) {
      symbols.MPI_Isend(place, place.byteLength, byte, rank, TAG, world, request);
    }
    await this.#wait();
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - (this.#last ?? now));
    this.#last = now;
    const lengths: number[] = Array(this.size).fill(bytes);
    for (const { rank, place } of this.#incoming) [, , lengths[rank]] = place;
    return lengths;
  }

  /** Until those of the others are here and its own have left, or one of the others is elsewhere. */
  async #wait(): Promise<void> {
    const { waiting: { onWait }, times: { noticeMs } } = this;
    const stopMs = Math.max(this.times.stopMs, this.#longest);
    const begun = performance.now(), incoming = new Set(this.#incoming);
    const outgoing = new Set(this.#outgoing);
    let notice = noticeMs, apart: Message | undefined;
    for (;;) {
      for (const message of incoming) {
        if (!this.#isOver(message)) continue;
        incoming.delete(message);
        if (!isSame(this.#own, message.place)) apart ??= message;
      }
      for (const message of outgoing) if (this.#isOver(message)) outgoing.delete(message);
      if (!outgoing.size) {
        if (apart) throw this.#apart(apart);
        if (!incoming.size) return;
      }
      const now = performance.now(), waited = now - begun;
      if (waited < EAGER_MS) continue;
      const missing = [...incoming.size ? incoming : outgoing].map(({ rank }) => rank);
      if (waited > notice) {
        onWait?.(this.#missingText(missing, waited), missing);
        notice *= 2;
      }
      if (this.#aborted !== undefined && now - Math.max(begun, this.#aborted) > stopMs) {
        throw new OtherRankError(
          `the run is to stop, and ${this.#missingText(missing, waited)}`,
          "are its processes still there? What was saved before is whole",
        );
      }
      const pause = Math.min(PAUSE_MS, PAUSE_SHARE * waited);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #isOver({ request }: Message): boolean {
    this.mpi.symbols.MPI_Test(request, this.#flag, this.#status);
    return this.#flag[0] !== 0;
  }

  #missingText(missing: readonly number[], waitedMs: number): string {
    const seconds = Math.round(waitedMs / 1000);
    return `rank ${this.rank} has waited ${seconds} s for ${ranksText(missing)} (${
      describe(this.#own)
    })`;
  }

  #apart({ rank, place }: Message): UserError {
    return new UserError(
      `the processes have lost each other: rank ${this.rank} is at ${describe(this.#own)}, rank ` +
        `${rank} at ${describe(place)}`,
      "one of them has failed, or left the run by another way than the others",
    );
  }
}

/** Whether both are at the same operation, of as many bytes where that matters. */
function isSame([kind, count, bytes]: Place, [otherKind, otherCount, otherBytes]: Place): boolean {
  return kind === otherKind && count === otherCount &&
    (bytes === otherBytes || KINDS[kind] === "gather");
}

/** `operation 12, sum of 8.0 MB`. */
function describe([kind, count, bytes]: Place): string {
  return `operation ${count}, ${KINDS[kind]}${bytes ? ` of ${formatBytes(bytes)}` : ""}`;
}
