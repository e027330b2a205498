/** Messages between the server and its child processes: one JSON object per line. */
import { TextLineStream } from "../../packages/std_text_line_stream.ts";

/** The objects of a stream, as they arrive. Skips invalid lines, which were cut off by a crash. */
export async function* readJsonLines<T>(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<T> {
  const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
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
