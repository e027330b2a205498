/** What servers, mirrors and proxies answer otherwise than the hub does. */
import { quoted } from "../text.ts";

/** A web page came in place of data: a network's login page, or a proxy's refusal. */
export class WebPageAnswer extends Error {}

/**
 * How long a server asks to wait, in milliseconds: `Retry-After` in seconds or as a date (RFC 9110,
 * section 10.2.3), or the hub's own `RateLimit: "api";r=0;t=60`.
 */
export function waitAsked(headers: Headers, now: number = Date.now()): number | undefined {
  const after = headers.get("Retry-After")?.trim();
  if (after && /^\d+$/.test(after)) return Number(after) * 1000;
  const date = after ? Date.parse(after) : NaN;
  if (Number.isFinite(date)) return Math.max(0, date - now);
  const reset = /;\s*t=(\d+)/.exec(headers.get("RateLimit") ?? "")?.[1];
  return reset === undefined ? undefined : Number(reset) * 1000;
}

/**
 * The answer to a request for bytes of a file. A server that ignores `Range` sends all of them with
 * status 200; what is left out of those is the answer that was asked for. `size` is that of the
 * file, where known.
 */
export async function ranged(answer: Response, range: string, size?: number): Promise<Response> {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  if (answer.status !== 200 || start === undefined) return answer;
  const headers = new Headers(answer.headers);
  const length = size ?? Number(headers.get("Content-Length") ?? NaN);
  if (!Number.isFinite(length) || headers.get("Content-Type")?.includes("xet-fileinfo")) {
    return answer;
  }
  headers.delete("Content-Length");
  headers.set("Content-Range", `bytes ${start}-${end}/${length}`);
  if (!headers.has("ETag")) headers.set("ETag", '""'); // the package insists; hashes are verified
  if (end === "0") {
    await answer.body?.cancel(); // only the size was asked for
    return new Response(new Uint8Array(1), { status: 206, headers });
  }
  const body = answer.body?.pipeThrough(between(Number(start), Number(end) + 1));
  return new Response(body, { status: 206, headers });
}

function between(start: number, end: number): TransformStream<Uint8Array, Uint8Array> {
  let at = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const wanted = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
      if (wanted.length > 0) controller.enqueue(wanted);
      at += chunk.length;
      if (at >= end) controller.terminate();
    },
  });
}

/** Throws a {@link WebPageAnswer} if the answer is a page where data was asked for. */
export async function assertNoWebPage(answer: Response, asked: URL): Promise<void> {
  const type = answer.headers.get("Content-Type") ?? "";
  const isPage = /^text\/html|^application\/xhtml/i.test(type) &&
    !/\.x?html?$/i.test(asked.pathname);
  const lacksJson = asked.pathname.startsWith("/api/") && !/json/i.test(type) && type !== "";
  if (!answer.ok || !(isPage || lacksJson)) return;
  const host = answer.url ? new URL(answer.url).host : asked.host;
  const said = titleOf(await beginningOf(answer));
  throw new WebPageAnswer(
    `${asked.host} was asked, and ${host} answers with a web page ` +
      `(${answer.status}, ${type.split(";")[0]}${said && `: ${quoted(said)}`})`,
  );
}

const BEGINNING = 1 << 14;

async function beginningOf(answer: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= BEGINNING) break;
  }
  return text;
}

/** The title of a page, or else its first words. */
export function titleOf(html: string): string {
  const title = /<title[^>]*>([\s\S]*?)<\/title>/i.exec(html)?.[1] ??
    html.replace(/<(script|style)[\s\S]*?<\/\1>/gi, " ");
  const words = title.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim();
  return words.length > 80 ? `${words.slice(0, 80)}…` : words;
}
