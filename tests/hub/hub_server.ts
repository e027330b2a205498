/** A fake Hugging Face hub: its HTTP API over a few files, with injected faults. */
import { createHash } from "node:crypto";

export interface HubRepo {
  readonly type?: "model" | "dataset";
  readonly name: string;
  /** By path; files above {@link LARGE_BYTES} are stored separately, as on the hub. */
  readonly files: Record<string, string | Uint8Array<ArrayBuffer>>;
  /** Names of the commit besides `main`. */
  readonly revisions?: readonly string[];
}

/** A request as seen by tests, whose response replaces the server's. */
export interface HubRequest {
  readonly kind: "info" | "tree" | "resolve" | "cdn" | "xet";
  readonly path: string;
  readonly range: string | null;
  readonly token: string | null;
}

type Fault = (request: HubRequest, body: Uint8Array<ArrayBuffer>) => Response | undefined;

/** Files above this are "large". */
const LARGE_BYTES = 1000;

export class HubServer implements AsyncDisposable {
  readonly requests: HubRequest[] = [];
  /** Called before each response. */
  fault: Fault = () => undefined;
  /** Whether large files are offered by the hub's own protocol. */
  xet = false;
  readonly #hub = serve((request) => this.#answer(request));
  /** Another origin, which must not receive tokens. */
  readonly #cdn = serve((request) => this.#answerCdn(request));

  constructor(readonly repos: readonly HubRepo[]) {}

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /** The number of requests of a kind. */
  count(kind: HubRequest["kind"]): number {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#hub.shutdown(), this.#cdn.shutdown()]);
  }

  #answer(request: Request): Response {
    const path = decodeURIComponent(new URL(request.url).pathname);
    for (const repo of this.repos) {
      const plural = `${repo.type ?? "model"}s`;
      const api = `/api/${plural}/${repo.name}/`;
      const resolve = `/${plural === "models" ? "" : `${plural}/`}${repo.name}/resolve/`;
      if (path.startsWith(api)) return this.#api(repo, path.slice(api.length), request);
      if (path.startsWith(resolve)) return this.#resolve(repo, path.slice(resolve.length), request);
    }
    return refusal(404, "RepoNotFound", "Repository not found");
  }

  #api(repo: HubRepo, rest: string, request: Request): Response {
    const [, kind, revision] = /^(revision|tree|xet-read-token)\/(.*)$/.exec(rest) ?? [];
    const sha = commitOf(repo);
    if (kind === "xet-read-token") {
      const casUrl = `http://127.0.0.1:${this.#cdn.addr.port}`;
      return Response.json({ accessToken: "cas", casUrl, exp: Date.now() / 1000 + 3600 });
    }
    const faulty = this.#note(kind === "tree" ? "tree" : "info", rest, request);
    if (faulty) return faulty;
    if (![sha, "main", ...repo.revisions ?? []].includes(revision)) {
      return refusal(404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    }
    if (kind === "revision") return Response.json({ _id: "1", id: repo.name, sha });
    // Two per page, to test pagination.
    const url = new URL(request.url), from = Number(url.searchParams.get("cursor") ?? 0);
    const paths = Object.keys(repo.files), entries = paths.map((path) => entryOf(repo, path));
    url.searchParams.set("cursor", String(from + 2));
    const link = from + 2 < paths.length ? { Link: `<${url}>; rel="next"` } : undefined;
    return Response.json(entries.slice(from, from + 2), { headers: link });
  }

  #resolve(repo: HubRepo, rest: string, request: Request): Response {
    const path = rest.slice(rest.indexOf("/") + 1);
    if (repo.files[path] === undefined) return refusal(404, "EntryNotFound", "Entry not found");
    const body = bytesOf(repo.files[path]);
    const faulty = this.#note("resolve", path, request, body);
    if (faulty) return faulty;
    if (body.length <= LARGE_BYTES) return ranged(body, request);
    const cdn = `http://127.0.0.1:${this.#cdn.addr.port}`;
    if (this.xet && request.headers.get("Accept")?.includes("xet-fileinfo")) {
      const hash = sha256(body), refresh = `${this.endpoint}/api/models/${repo.name}`;
      return Response.json({ hash }, {
        headers: {
          "Content-Type": "application/vnd.xet-fileinfo+json",
          "X-Linked-Size": String(body.length),
          "X-Linked-ETag": hash,
          "X-Xet-Hash": hash,
          Link: `<${refresh}/xet-read-token/x>; rel="xet-auth", ` +
            `<${cdn}/v1/reconstructions/${hash}>; rel="xet-reconstruction-info"`,
        },
      });
    }
    return Response.redirect(`${cdn}/${repo.name}/${path}`, 302);
  }

  #answerCdn(request: Request): Response {
    const url = new URL(request.url), path = decodeURIComponent(url.pathname).slice(1);
    const [, hash] = /^v2\/reconstructions\/(.*)$/.exec(path) ?? [];
    const file = this.#find((name, body) => hash ? sha256(body) === hash : path.endsWith(name));
    const body = file!;
    if (hash) return Response.json(reconstruction(body, request, `${url.origin}/xorb/${path}`));
    const xorb = path.startsWith("xorb/");
    const found = xorb ? this.#find((_, body) => path.endsWith(sha256(body)))! : body;
    const faulty = this.#note(xorb ? "xet" : "cdn", path, request, found);
    if (faulty) return faulty;
    return ranged(xorb ? chunked(found) : found, request);
  }

  #find(matches: (path: string, body: Uint8Array<ArrayBuffer>) => boolean) {
    for (const repo of this.repos) {
      for (const [path, content] of Object.entries(repo.files)) {
        const body = bytesOf(content);
        if (matches(`${repo.name}/${path}`, body)) return body;
      }
    }
  }

  #note(
    kind: HubRequest["kind"],
    path: string,
    { headers }: Request,
    body = new Uint8Array(),
  ): Response | undefined {
    const request = {
      kind,
      path,
      range: headers.get("Range"),
      token: headers.get("Authorization"),
    };
    this.requests.push(request);
    return this.fault(request, body);
  }
}

/** A refusal by the hub. */
export function refusal(status: number, code: string, message: string): Response {
  return Response.json({ error: message }, { status, headers: { "X-Error-Code": code } });
}

/** A body that ends early without an error. */
export function cutOff(body: Uint8Array<ArrayBuffer>, range: string | null): Response {
  const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
  const half = body.subarray(from, from + Math.ceil((body.length - from) / 2));
  return new Response(half, { status: range ? 206 : 200 });
}

export function commitOf({ name, files }: HubRepo): string {
  return createHash("sha1").update(name).update(Object.keys(files).join()).digest("hex");
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function bytesOf(content: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

function entryOf(repo: HubRepo, path: string) {
  const body = bytesOf(repo.files[path]), size = body.length;
  if (size > LARGE_BYTES) {
    const oid = createHash("sha1").update(`pointer ${path}`).digest("hex");
    return { type: "file", path, size, oid, lfs: { oid: sha256(body), size, pointerSize: 130 } };
  }
  const oid = createHash("sha1").update(`blob ${size}\0`).update(body).digest("hex");
  return { type: "file", path, size, oid };
}

function ranged(body: Uint8Array<ArrayBuffer>, { headers }: Request): Response {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("Range") ?? "") ?? [];
  const common = { ETag: `"${sha256(body)}"` };
  if (from === undefined) return new Response(body, { headers: common });
  const end = Math.min(Number(to) + 1, body.length);
  return new Response(body.subarray(Number(from), end), {
    status: 206,
    headers: { ...common, "Content-Range": `bytes ${from}-${end - 1}/${body.length}` },
  });
}

/** The response of the hub's protocol: one uncompressed chunk after 8 bytes. */
function chunked(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const [low, middle, high] = [body.length & 255, (body.length >> 8) & 255, body.length >> 16];
  return Uint8Array.from([0, low, middle, high, 0, low, middle, high, ...body]);
}

function reconstruction(body: Uint8Array, { headers }: Request, url: string) {
  const [, from] = /^bytes=(\d+)-/.exec(headers.get("Range") ?? "bytes=0-")!;
  const chunks = { start: 0, end: 1 };
  return {
    offset_into_first_range: Number(from),
    terms: [{ hash: "a", unpacked_length: body.length, range: chunks }],
    xorbs: { a: [{ url, ranges: [{ chunks, bytes: { start: 0, end: body.length + 7 } }] }] },
  };
}

function serve(handler: (request: Request) => Response): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
}
