/**
 * Reads what a device makes step by step, several steps at a time, while it makes the next ones.
 *
 * A read takes at least 11 ms in Deno however little it reads: it waits until the device has done
 * all that was submitted, then sleeps. In that sleep the next steps are submitted, so that the
 * device does not wait for the reader.
 */
import { setImmediate } from "node:timers";

/** Steps of a device, each of which continues what the ones before have made. */
export interface Steps {
  /** Submits the step of this index; they come in order. */
  readonly submit: (index: number) => void;
  /** Reads what the steps [start, end) have made. */
  readonly read: (start: number, end: number) => Promise<Iterable<number>>;
}

/** Milliseconds between reads, for a stream that looks steady; as long is decoded in vain at most. */
const READ_EVERY_MS = 40;
/** Most steps of a read. */
const MOST = 16;

/**
 * Yields the results of up to `count` steps. The first is read by itself, the following as many at a
 * time as the device makes in {@link READ_EVERY_MS}. Leave it early to stop; a signal stops it
 * before the next result, with its reason.
 */
export async function* readAhead(
  { submit, read }: Steps,
  count: number,
  signal?: AbortSignal,
): AsyncGenerator<number> {
  let submitted = 0, done = 0, together = 1;
  const submitNext = () => {
    for (const end = Math.min(count, submitted + together); submitted < end;) submit(submitted++);
  };
  submitNext();
  while (done < count) {
    const end = submitted, started = performance.now();
    const reading = read(done, end);
    reading.catch(() => {}); // should submitting fail, too
    await begun();
    submitNext();
    const results = await reading;
    const fitting = Math.floor(READ_EVERY_MS * (end - done) / (performance.now() - started));
    together = Math.max(1, Math.min(2 * together, fitting, MOST));
    done = end;
    for (const result of results) {
      signal?.throwIfAborted();
      yield result;
    }
  }
}

/** The same for steps that need on the host what the one before made. */
export async function* readEach(
  { submit, read }: Steps,
  count: number,
  signal?: AbortSignal,
): AsyncGenerator<number> {
  for (let index = 0; index < count; index++) {
    submit(index);
    for (const result of await read(index, index + 1)) {
      signal?.throwIfAborted();
      yield result;
    }
  }
}

/** A turn of the event loop, after which a read that was called waits for no later step. */
function begun(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
