/** An upload that takes long enough for something to happen meanwhile. */
import { type Api, pause } from "./support.ts";

const BOUNDARY = "----slow";
const LINE = "\r\n";
const BLOCK = "All the world is a stage.\n".repeat(1000);

/** About 1 MB of text in half a second; the file's object, or what the server refuses it with. */
export function slowUpload(api: Api): Promise<unknown> {
  const head = [
    ...[`--${BOUNDARY}`, `content-disposition: form-data; name="purpose"`, "", "pretrain"],
    ...[`--${BOUNDARY}`, `content-disposition: form-data; name="file"; filename="slow.txt"`],
    ...["content-type: text/plain", "", ""],
  ];
  const body = async function* () {
    yield head.join(LINE);
    for (let count = 0; count < 40; count++, await pause(12)) yield BLOCK;
    yield `${LINE}--${BOUNDARY}--${LINE}`;
  };
  const bytes = ReadableStream.from(body()).pipeThrough(new TextEncoderStream());
  return api.send("POST", "/files", bytes, `multipart/form-data; boundary=${BOUNDARY}`);
}
