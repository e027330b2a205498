/** Calls that may fall silent, or break off. */

/** The server is away, or says that it cannot answer now. Another attempt may go well. */
export class Interruption extends Error {
  override readonly name = "Interruption";
}

/** A stream of the same bytes as another, and what that failed by. */
export interface Watched {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  fault?: { readonly error: unknown };
  close(): Promise<void>;
}

/** Aborts its signal when nothing has moved for long. */
export class Watch implements Disposable {
  readonly #silent = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly ms: number) {
    this.#restart();
  }

  get signal(): AbortSignal {
    return this.#silent.signal;
  }

  over(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): Watched {
    const reader = bytes.getReader();
    const watched: Watched = {
      close: () => reader.cancel().catch(() => {}), // it has failed, and said so
      stream: new ReadableStream({
        pull: async (controller) => {
          this.#restart();
          try {
            const { done, value } = await reader.read();
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            watched.fault = { error };
            // Not the error itself: whoever writes the bytes would take it for the disk's.
            controller.error(new Interruption("the bytes broke off"));
          }
        },
        cancel: (reason) => reader.cancel(reason),
      }, { highWaterMark: 0 }),
    };
    return watched;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #restart(): void {
    clearTimeout(this.#timer);
    const silent = new Interruption(`silent for ${this.ms / 1000} s`);
    this.#timer = setTimeout(() => this.#silent.abort(silent), this.ms);
  }
}
