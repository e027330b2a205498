/** The file routes over a real data folder and a real socket, and hand-written forms. */
import { join } from "@std/path";
import OpenAI from "openai";
import { diskFault } from "../../../src/files/disk_error.ts";
import { ApiError, diskRefusal } from "../../../src/server/api_error.ts";
import type { ReceiveOptions } from "../../../src/server/files/receive.ts";
import type { FileRecord, JobRecord } from "../../../src/server/store/records.ts";
import { fileRoutes } from "../../../src/server/http/routes/files.ts";
import type { Services } from "../../../src/server/services.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { testServices } from "../support_services.ts";

export interface Setup extends ReceiveOptions {
  readonly options?: Record<string, unknown>;
  /** Bytes. */
  readonly quota?: number;
  readonly store?: Services["store"];
}

export interface FilesServer {
  readonly services: Services & { readonly storage: DataFolder };
  readonly client: OpenAI;
  /** `http://127.0.0.1:1234/v1/files` */
  readonly url: string;
  /** Names in the folder of files, which should hold only the bytes of records. */
  names(): string[];
}

export async function withFilesServer(
  { options, quota, store, ...receiving }: Setup,
  use: (server: FilesServer) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "files-" });
  const storage = await DataFolder.open(folder, { quota });
  const made = testServices({ storage, options, ...(store && { store }) });
  const services = { ...made, storage };
  const app = fileRoutes(services, receiving);
  app.onError((error) => {
    if (error instanceof ApiError) return error.toResponse();
    const fault = diskFault(error);
    if (fault) return diskRefusal(fault).toResponse();
    console.error(error);
    return new ApiError(500, { message: String(error) }).toResponse();
  });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const origin = `http://127.0.0.1:${server.addr.port}/v1`;
  try {
    await use({
      services,
      client: new OpenAI({ apiKey: "none", baseURL: origin, maxRetries: 0 }),
      url: `${origin}/files`,
      names: () => [...Deno.readDirSync(join(folder, "files"))].map(({ name }) => name),
    });
  } finally {
    await server.shutdown();
    made.close();
    storage.close();
    await Deno.remove(folder, { recursive: true });
  }
}

export const BOUNDARY = "boundary-of-the-test";

export interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly content: string | Uint8Array;
}

const text = new TextEncoder();

/** The bytes of a form. */
export function formBody(...parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const pieces = parts.flatMap(({ name, filename, content }) => {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return [head, content, "\r\n"];
  });
  return joinBytes(...pieces, `--${BOUNDARY}--\r\n`);
}

export function joinBytes(...pieces: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const all = pieces.map((each) => typeof each === "string" ? text.encode(each) : each);
  const joined = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of all) {
    joined.set(each, at);
    at += each.length;
  }
  return joined;
}

export async function postForm(
  url: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Answer }> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
  });
  return { status: response.status, json: await response.json() };
}

/** A file, or an error. */
export interface Answer {
  readonly id: string;
  readonly filename: string;
  readonly error?: { readonly message: string; readonly code: string; readonly param: string };
}

/** A form with this file for fine-tuning. */
export function uploadOf(
  content: string | Uint8Array,
  { filename = "data.jsonl", purpose = "fine-tune" } = {},
): Uint8Array<ArrayBuffer> {
  return formBody({ name: "purpose", content: purpose }, { name: "file", filename, content });
}

export const GOOD_LINE = JSON.stringify({
  messages: [{ role: "user", content: "Hello" }, { role: "assistant", content: "Good day" }],
});

export function job(id: string, fields: Partial<JobRecord> = {}): JobRecord {
  return {
    id,
    kind: "fine_tuning",
    status: "queued",
    createdAt: 1,
    turn: 1,
    model: "llama",
    request: {},
    options: {},
    trainingFiles: [],
    validationFiles: [],
    plan: { plannedPeakBytes: 0, byPurpose: {} as JobRecord["plan"]["byPurpose"], diskBytes: 0 },
    resultFiles: [],
    ...fields,
  };
}

export function file(id: string, fields: Partial<FileRecord> = {}): FileRecord {
  const given = {
    id,
    filename: "data.jsonl",
    purpose: "fine-tune",
    bytes: 3,
    lines: 1,
    createdAt: 1,
  };
  return { ...given, ...fields };
}
