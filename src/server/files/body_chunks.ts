/** The chunks of a request's body. */
import { ApiError } from "../api_error.ts";

/** For a client that may still be sending: the rest of the body is not awaited. */
export const LAST_ANSWER = { connection: "close" } as const;

/** Milliseconds of silence after which an upload is aborted. */
export const STALL_MS = 60_000;

/** Throws an ApiError 408 after a silence: a client that sends nothing must not hold a slot forever. */
export async function* bodyChunks(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stallMs = STALL_MS,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    while (true) {
      const { done, value } = await within(stallMs, reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    // Not awaited: it waits for the pending read. It may have failed, which was already reported.
    reader.cancel().catch(() => {});
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `Nothing received for ${ms / 1000} s: the upload was aborted`;
      reject(new ApiError(408, { message, code: "request_timeout", headers: LAST_ANSWER }));
    }, ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
