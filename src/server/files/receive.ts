/** Stores an uploaded file, entirely or not at all. */
import { dirname } from "../../packages/std_path.ts";
import { SUPPORTED } from "../../data/formats.ts";
import { formatBytes, quoted } from "../../text.ts";
import { syncFolder } from "../../files/atomic.ts";
import { diskFault } from "../../files/disk_error.ts";
import { ApiError, throwIfEnded } from "../api_error.ts";
import { newId } from "../store/ids.ts";
import { EXPIRY } from "../protocol/file.ts";
import type { FileRecord } from "../store/records.ts";
import type { Services, Storage } from "../services.ts";
import { checkFile } from "./check.ts";
import { invalidFile } from "./faults.ts";
import { LAST_ANSWER, STALL_MS } from "./body_chunks.ts";
import { type FormFile, invalid, readForm } from "./form.ts";
import { cleanFilename, PURPOSES, UNFINISHED } from "../store/file_kinds.ts";
import { judgeEnding, mayBeData } from "./judge_ending.ts";
import { openSink, type Sink } from "./sink.ts";
import { unixSeconds } from "../store/unix_seconds.ts";

export type FileServices = Pick<Services, "options" | "store" | "storage" | "room">;

export interface ReceiveOptions {
  /** Silence after which the upload is aborted. */
  readonly stallMs?: number;
  /** Creates a new file; tests inject disks that fail. */
  readonly open?: (path: string) => Promise<Sink>;
}

/** Generous bound on what surrounds a file in a form. */
const FORM_BYTES = 64 * 1024;

/**
 * Stores the file of a form. Its bytes are on disk under their final name before its record exists:
 * a crash leaves at most a file without a record, which the next start removes. Throws an ApiError,
 * and leaves nothing behind, if the request, the file or the disk is unsuitable.
 */
export async function receiveFile(
  request: Request,
  services: FileServices,
  { stallMs = STALL_MS, open = openSink }: ReceiveOptions = {},
): Promise<FileRecord> {
  const { storage, store } = services;
  await refuseTooLarge(request, services);
  const id = newId("file");
  const saved: Saved[] = []; // to remove if anything fails
  try {
    const { fields } = await readForm(request, stallMs, async (file) => {
      const filename = nameOf(file);
      const unfinished = storage.filePath({ id, filename }) + UNFINISHED;
      const upload: Saved = { unfinished, filename, bytes: 0 };
      saved.push(upload);
      await save(file, upload, services, open);
    });
    const upload = saved.at(0);
    const { purpose, lifetime } = readFields(fields, upload?.filename);
    const { unfinished, filename, bytes } = upload!;
    const ending = await judgeEnding({ path: unfinished, filename, purpose });
    const { records: lines, contents } = await checkFile({
      path: unfinished,
      filename,
      ending,
      purpose,
    });
    const path = upload!.path = storage.filePath({ id, filename, ending });
    throwIfEnded(request.signal);
    await Deno.rename(unfinished, path);
    await syncFolder(dirname(path));
    const createdAt = unixSeconds();
    const expiresAt = lifetime === undefined ? undefined : createdAt + lifetime;
    const record = {
      id,
      filename,
      ending,
      purpose,
      bytes,
      lines,
      contents,
      createdAt,
      expiresAt,
    };
    store.files.insert(record);
    await store.sync();
    return record;
  } catch (error) {
    for (const upload of saved) await discard(upload, storage);
    forget(id, store);
    throw diskFault(error) === "disk_full" ? await noRoom(storage) : error;
  }
}

interface Saved {
  /** Path until it is complete and checked. */
  readonly unfinished: string;
  /** Where it is then. */
  path?: string;
  readonly filename: string;
  bytes: number;
}

/** Refuses by the declared length, before reading the body. */
async function refuseTooLarge(request: Request, services: FileServices): Promise<void> {
  const length = Number(request.headers.get("content-length") ?? 0);
  const limit = uploadLimit(services);
  if (length > limit + FORM_BYTES) throw tooLarge(limit);
  if (!await services.room.makeRoom(length - FORM_BYTES)) throw await noRoom(services.storage);
}

async function save(
  { chunks }: FormFile,
  upload: Saved,
  services: FileServices,
  open: (path: string) => Promise<Sink>,
): Promise<void> {
  const { storage } = services;
  const limit = uploadLimit(services);
  const sink = await open(upload.unfinished);
  try {
    for await (const chunk of chunks) {
      if (upload.bytes + chunk.length > limit) throw tooLarge(limit);
      if (chunk.length > await storage.free()) throw await noRoom(storage);
      upload.bytes += chunk.length;
      storage.account(chunk.length);
      await sink.write(chunk);
    }
    await sink.sync();
  } finally {
    sink.close();
  }
}

async function discard({ path, unfinished, bytes }: Saved, storage: Storage): Promise<void> {
  for (const each of path ? [unfinished, path] : [unfinished]) {
    await Deno.remove(each).catch(() => {}); // one of them does not exist; report the cause instead
  }
  storage.account(-bytes);
}

/** For a record that the disk took and could not keep. */
function forget(id: string, store: FileServices["store"]): void {
  if (!store.files.get(id)) return;
  const remove = () => void store.files.delete(id);
  store.files.holdDeletion(id, remove);
  store.held.attempt();
}

function nameOf(file: FormFile): string {
  const filename = cleanFilename(file.filename ?? "");
  if (filename === "") {
    throw invalid("file", "has no file name: its extension determines the format");
  }
  if (mayBeData(filename)) return filename;
  throw invalidFile(`${filename}: is not named as a data file; ${SUPPORTED}`);
}

/** The form's other fields, when it has been read. */
function readFields(fields: ReadonlyMap<string, string>, filename: string | undefined) {
  if (filename === undefined) throw invalid("file", "is missing: a form part with a file name");
  const purpose = PURPOSES.find((each) => each === fields.get("purpose"));
  if (!purpose) {
    const given = fields.get("purpose");
    const got = given === undefined ? "is missing" : `is ${quoted(given)}`;
    throw invalid("purpose", `${got}, must be one of ${PURPOSES.join(", ")}`);
  }
  return { purpose, lifetime: readLifetime(fields) };
}

/** Seconds after which it expires. */
function readLifetime(fields: ReadonlyMap<string, string>): number | undefined {
  const [anchorField, secondsField] = ["expires_after[anchor]", "expires_after[seconds]"];
  const anchor = fields.get(anchorField), given = fields.get(secondsField);
  if (anchor === undefined && given === undefined) return undefined;
  if (anchor !== "created_at") {
    throw invalid(anchorField, `must be created_at, got ${anchor ?? "nothing"}`);
  }
  const seconds = given?.trim() ? Number(given) : NaN;
  if (Number.isInteger(seconds) && seconds >= EXPIRY.min && seconds <= EXPIRY.max) return seconds;
  const got = given ?? "nothing";
  throw invalid(secondsField, `must be from ${EXPIRY.min} to ${EXPIRY.max}, got ${got}`);
}

function uploadLimit({ options }: FileServices): number {
  return options.maxUpload * 2 ** 20;
}

function tooLarge(limit: number): ApiError {
  return new ApiError(413, {
    message: `The file is larger than ${formatBytes(limit)}, the server's max_upload`,
    param: "file",
    code: "file_too_large",
    headers: LAST_ANSWER,
  });
}

async function noRoom(storage: Storage): Promise<ApiError> {
  const [used, free] = await Promise.all([storage.used(), storage.free()]);
  return new ApiError(413, {
    message: `No space for the file: the data folder holds ${formatBytes(used)} and may ` +
      `take ${formatBytes(free)} more. Delete files or models, or raise the server's disk_quota`,
    param: "file",
    code: "storage_quota_exceeded",
    headers: LAST_ANSWER,
  });
}
