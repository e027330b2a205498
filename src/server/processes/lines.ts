/** Messages between the server and its child processes: one JSON object per line. */
import { TextLineStream } from "../../packages/std_text_line_stream.ts";

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** The lines of a stream, as they arrive. */
export function linesOf(stream: Bytes): ReadableStream<string> {
  return stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}

/** The objects of a stream, as they arrive. Skips invalid lines, which were cut off by a crash. */
export async function* readJsonLines<T>(
  stream: Bytes,
): AsyncGenerator<T> {
  for await (const line of linesOf(stream)) {
    const value = parse<T>(line);
    if (value !== undefined) yield value;
  }
}

export function jsonLine(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value) + "\n");
}

function parse<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}
