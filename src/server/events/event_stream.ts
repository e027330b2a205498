/**
 * Server-sent events whose cost depends on readers only.
 *
 * A stream is a position in the log, not a queue: when its reader pulls, it reads the events after
 * that position, or waits for new ones. A slow client holds no memory and delays nobody; fast ones
 * share their bytes, because the latest events are cached as sent.
 *
 * Events are flushed to disk before they are sent: no client knows an event, or its number, that a
 * power failure could undo.
 *
 * @module
 */
import type { Moment, Moments } from "../jobs/moments.ts";
import { toEvent } from "../protocol/event.ts";
import { toMoment } from "../protocol/moment.ts";
import { type EventRecord, FINAL_STATUSES, type JobStatus } from "../store/records.ts";
import type { EventLog, StreamQuery, Streams } from "../services.ts";
import type { Store } from "../store/store.ts";

interface Stream extends StreamQuery {
  controller: ReadableStreamDefaultController<Uint8Array>;
  after: number;
  greeted: boolean;
  /** The last status sent. */
  status?: JobStatus;
  /** The last moment sent. */
  moment?: Moment;
  /** Whether everything was sent. */
  done: boolean;
}

/** An event and its bytes in either form, encoded on first use; null if it has none. */
interface Entry {
  readonly event: EventRecord;
  readonly frames: { [Content in StreamQuery["content"]]?: Uint8Array | null };
}

/** Most events read, and bytes sent, at a time. */
const BATCH_EVENTS = 200;
const BATCH_BYTES = 64 * 1024;
/**
 * Pause between rounds of writes to all streams: a hundred are served twice a second, a few
 * immediately.
 */
const REST_PER_STREAM_MS = 5, LONGEST_REST_MS = 500;

const encode = (text: string) => new TextEncoder().encode(text);
// Neither ends with an empty line: some clients, OpenAI's for Python among them, treat what
// precedes one as an event even without data.
/** Tells clients how many milliseconds to wait before reconnecting. */
const GREETING = encode("retry: 2000\n");
const HEARTBEAT = encode(": heartbeat\n");
const DONE = encode("data: [DONE]\n\n");

export class EventStreams implements Streams {
  readonly #store: Store;
  readonly #heartbeat: number;
  readonly #keep: number;
  readonly #streams = new Set<Stream>();
  readonly #moments: Pick<Moments, "of" | "subscribe"> | undefined;
  readonly #unsubscribe: () => void;
  /** The latest events: all after `#recentStart` up to `#flushed`. */
  #recent: Entry[] = [];
  #recentStart = 0;
  #flushed = 0;
  /** Resolved and replaced when there may be new events. */
  #updated = Promise.withResolvers<void>();
  #beats = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #updating: Promise<void> | undefined;
  #stale = false;
  readonly #ending = Promise.withResolvers<void>();
  #closed = false;

  constructor({ store, log, moments, heartbeat = 15_000, recent = 1000 }: {
    readonly store: Store;
    readonly log: Pick<EventLog, "subscribe">;
    /** Sent in a job's stream of metrics beside its events. */
    readonly moments?: Pick<Moments, "of" | "subscribe">;
    /** Milliseconds of silence after which a stream sends a comment. */
    readonly heartbeat?: number;
    /** Number of events cached as bytes. */
    readonly recent?: number;
  }) {
    this.#store = store;
    this.#heartbeat = heartbeat;
    this.#keep = recent;
    this.#moments = moments;
    const unsubscribe = [
      log.subscribe(() => this.#update()),
      moments?.subscribe(() => this.#streams.size && this.#wake()),
    ];
    this.#unsubscribe = () => unsubscribe.forEach((each) => each?.());
  }

  get count(): number {
    return this.#streams.size;
  }

  isOver({ jobId, after }: StreamQuery): boolean {
    if (jobId === undefined || after === undefined) return false;
    const { events, jobs } = this.#store;
    return this.#isFinal(jobId, jobs.status(jobId)) && after >= events.lastSeq(jobId);
  }

  open(query: StreamQuery): ReadableStream<Uint8Array> {
    if (this.#closed) throw new Error("EventStreams.open: the streams are closed");
    const last = this.#store.events.lastSeq();
    const after = Math.min(query.after ?? (query.jobId === undefined ? last : 0), last);
    let stream: Stream;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        stream = { ...query, controller, after, greeted: false, done: false };
        this.#streams.add(stream);
        // One timer for all streams, while there are any.
        this.#timer ??= setInterval(() => this.#sendHeartbeats(), this.#heartbeat);
        this.#update();
      },
      pull: () => this.#pull(stream),
      cancel: () => this.#forget(stream),
    }, { highWaterMark: 0 }); // fetch nothing before the reader pulls
  }

  /** Ends every stream at its position; clients reconnect for the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ending.resolve();
    this.#unsubscribe();
    for (const stream of this.#streams) {
      this.#forget(stream);
      stream.controller.close();
    }
    this.#wake();
    await this.#updating;
  }

  async #pull(stream: Stream): Promise<void> {
    try {
      const bytes = await this.#next(stream);
      // Cancelled meanwhile.
      if (!this.#streams.has(stream)) return;
      stream.controller.enqueue(bytes);
      if (!stream.done) return;
      this.#forget(stream);
      stream.controller.close();
    } catch (error) {
      this.#forget(stream);
      throw error;
    }
  }

  async #next(stream: Stream): Promise<Uint8Array> {
    if (!stream.greeted) {
      stream.greeted = true;
      return GREETING;
    }
    const beats = this.#beats;
    for (;;) {
      // Taken before reading, so that no event is missed in between.
      const updated = this.#updated.promise;
      const bytes = this.#events(stream) ?? this.#status(stream) ?? this.#moment(stream);
      if (bytes) return bytes;
      if (beats !== this.#beats || !this.#streams.has(stream)) return HEARTBEAT;
      await updated;
    }
  }

  /** The next events of the stream; undefined if it has all of them. */
  #events(stream: Stream): Uint8Array | undefined {
    while (stream.after < this.#flushed) {
      const { entries, upTo } = this.#read(stream);
      const frames: Uint8Array[] = [];
      let bytes = 0;
      for (const entry of entries) {
        stream.after = entry.event.seq;
        const frame = frameOf(entry, stream.content);
        if (!frame) continue;
        frames.push(frame);
        bytes += frame.length;
        if (bytes >= BATCH_BYTES) return concat(frames, bytes);
      }
      stream.after = upTo;
      if (frames.length) return concat(frames, bytes);
    }
  }

  /** Some events after the stream's position, and the position up to which it has no others. */
  #read({ after, jobId }: Stream): { readonly entries: Entry[]; readonly upTo: number } {
    if (after >= this.#recentStart) {
      let first = this.#recent.length;
      while (first > 0 && this.#recent[first - 1].event.seq > after) first--;
      const entries = this.#recent.slice(first)
        .filter(({ event }) => jobId === undefined || event.jobId === jobId);
      return { entries, upTo: this.#flushed };
    }
    const events = this.#store.events.since(after, { jobId, limit: BATCH_EVENTS });
    const entries = events.filter(({ seq }) => seq <= this.#flushed).map(entryOf);
    const more = events.length === BATCH_EVENTS && entries.length === events.length;
    return { entries, upTo: more ? entries.at(-1)!.event.seq : this.#flushed };
  }

  /** For a stream without pending events: a changed status, or the end. */
  #status(stream: Stream): Uint8Array | undefined {
    const { jobId } = stream;
    if (jobId === undefined) return;
    const { events, jobs } = this.#store, last = events.lastSeq(jobId);
    // Events written but not yet flushed come first.
    if (last > stream.after) return;
    const status = jobs.status(jobId);
    if (stream.content === "metrics" && status !== stream.status) {
      stream.status = status;
      // With the id of the job's last event, whatever its type: a client that has this has it all.
      const data = JSON.stringify({ job_id: jobId, status });
      return encode(`event: status\nid: ${last}\ndata: ${data}\n\n`);
    }
    if (!this.#isFinal(jobId, status)) return;
    stream.done = true;
    return DONE;
  }

  /**
   * Whether a job of this status has no event to come: one that is gone has none, one whose end the
   * disk has not taken yet has that.
   */
  #isFinal(jobId: string, status: JobStatus | undefined): boolean {
    return !status || FINAL_STATUSES.includes(status) && !this.#store.jobs.isHeld(jobId);
  }

  /** What the job does at the moment, unless that was sent: a slow reader gets only the latest. */
  #moment(stream: Stream): Uint8Array | undefined {
    const { jobId, content } = stream;
    if (content !== "metrics" || jobId === undefined) return;
    const moment = this.#moments?.of(jobId);
    if (moment === stream.moment) return;
    stream.moment = moment;
    if (moment) {
      return encode(`event: moment\ndata: ${JSON.stringify(toMoment(jobId, moment))}\n\n`);
    }
  }

  /** Makes written events visible to streams once flushed, with one flush for all of them. */
  #update(): void {
    this.#stale = true;
    if (!this.#streams.size || this.#updating) return;
    this.#updating = this.#updateAll().finally(() => this.#updating = undefined);
  }

  async #updateAll(): Promise<void> {
    while (this.#stale && !this.#closed) {
      this.#stale = false;
      // After this, callers that append several events at once have done so.
      await Promise.resolve();
      const last = this.#store.events.lastSeq();
      // A failing disk is reported by the write that fails; streaming continues as long as
      // possible.
      await this.#store.sync().catch(() => {});
      if (this.#closed) return;
      this.#readRecent(last);
      this.#wake();
      // Every write to a client takes time from training: the more clients, the larger each write.
      await this.#rest(Math.min(LONGEST_REST_MS, REST_PER_STREAM_MS * this.#streams.size));
    }
  }

  /** Ends early when the streams are closed. */
  async #rest(ms: number): Promise<void> {
    const rested = Promise.withResolvers<void>();
    const timer = setTimeout(rested.resolve, ms);
    await Promise.race([rested.promise, this.#ending.promise]);
    clearTimeout(timer);
  }

  #readRecent(last: number): void {
    if (last - this.#flushed > this.#keep) {
      this.#recent = [];
      this.#recentStart = this.#flushed = last - this.#keep;
    }
    const limit = last - this.#flushed;
    const events = limit > 0 ? this.#store.events.since(this.#flushed, { limit }) : [];
    this.#recent.push(...events.filter(({ seq }) => seq <= last).map(entryOf));
    const dropped = this.#recent.splice(0, Math.max(0, this.#recent.length - this.#keep));
    this.#recentStart = dropped.at(-1)?.event.seq ?? this.#recentStart;
    this.#flushed = last;
  }

  #wake(): void {
    const { resolve } = this.#updated;
    this.#updated = Promise.withResolvers();
    resolve();
  }

  #sendHeartbeats(): void {
    this.#beats++;
    this.#update();
    this.#wake();
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    // The next stream reads from the store.
    this.#recent = [];
    this.#recentStart = this.#flushed;
  }
}

const entryOf = (event: EventRecord): Entry => ({ event, frames: {} });

function frameOf({ event, frames }: Entry, content: StreamQuery["content"]): Uint8Array | null {
  const known = frames[content];
  if (known !== undefined) return known;
  const shown = content === "events"
    ? toEvent(event)
    : event.type === "metrics"
    ? event.data
    : undefined;
  return frames[content] = shown
    ? encode(`id: ${event.seq}\ndata: ${JSON.stringify(shown)}\n\n`)
    : null;
}

/** A single piece is returned as it is, because its bytes are shared. */
function concat(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(bytes);
  let place = 0;
  for (const piece of pieces) {
    all.set(piece, place);
    place += piece.length;
  }
  return all;
}
