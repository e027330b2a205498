/** What the server and a worker on another machine say to each other. Both must be of one release. */
import { z } from "../../packages/zod.ts";
import type { TrainingTask, WorkerEvent } from "../worker/protocol.ts";

const name = z.string().regex(/^[\w.-]{1,64}$/, "must be 1 to 64 letters, digits, `.`, `_` or `-`");

/** Most workers of a machine. */
export const MOST_WORKERS = 256;

/** Workers of a machine, with every sign of life. */
const machineSchema = z.object({
  version: z.string(),
  /** What tells it from another one whose workers have the same names: of its folder, for good. */
  machine: z.string().regex(/^[\w-]{1,64}$/),
  workers: z.array(z.object({
    worker: name,
    /** Name of its GPU. */
    card: z.string().max(200),
  })).min(1).max(MOST_WORKERS),
});

/** It takes jobs, on all of its workers. */
export const helloSchema = machineSchema.extend({
  /** Most processes of a job that it can run. */
  ranks: z.number().int().min(1).max(MOST_WORKERS),
});

export type Hello = z.output<typeof helloSchema>;

/** The answer. */
export interface Greeting {
  /**
   * Processes of the first job in the queue that the machine can run, if one waits: smaller ones do
   * not go before it.
   */
  readonly next: number | null;
}

/** It asks for a job that it was offered, for a worker of each of its processes. */
export const claimSchema = machineSchema.extend({
  job: z.string(),
  /** Id of the offer. */
  offer: z.string(),
});

export type Claim = z.output<typeof claimSchema>;

/** A file that travels: its place below the folder it is in, and what it must be. */
export const travellerSchema = z.object({
  path: z.string().min(1).max(500),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Traveller = z.output<typeof travellerSchema>;

/** What a worker gets for a job. */
export interface Claimed {
  /** Shown with every later call. */
  readonly lease: string;
  /** Seconds of silence after which the job is another's. */
  readonly seconds: number;
  readonly task: Omit<TrainingTask, "saveCheckpoint">;
  /** Options of the task that are paths below the worker's folder of the job, in place of the values. */
  readonly paths: Readonly<Record<string, string | readonly string[]>>;
  /** To be below that folder before it begins. */
  readonly files: readonly Traveller[];
  /** What the paths of `paths` are on the server, for texts that name them. */
  readonly origins: Readonly<Record<string, string>>;
}

/** Where the inputs of a job are below a worker's folder of it, and where its run's own folder is. */
export const INPUTS = "inputs", RUN = "run";

/** Why a worker gives a job back that could go on; any other reason counts against the job. */
export const WAS_STOPPED = "was stopped";

/** How the process of a job ended. */
const endSchema = z.object({
  code: z.number().int(),
  signal: z.string().nullable(),
  log: z.string(),
  /** Why the worker gives the job back, though nothing is wrong with it. */
  left: z.string().optional(),
});

export type End = z.output<typeof endSchema>;

/** What has happened since the last report; without anything a sign of life. */
export const reportSchema = z.object({
  events: z.array(
    z.custom<WorkerEvent>((value) => typeof (value as WorkerEvent)?.type === "string"),
  ),
  end: endSchema.optional(),
});
export type Report = z.output<typeof reportSchema>;

/** The answer: what the worker shall do. */
export interface Orders {
  readonly stop: boolean;
}

/** Files that have come become a state of the run's folder, all at once. */
export const commitSchema = z.object({
  files: z.array(travellerSchema).max(10_000),
  /** Steps of the checkpoints that the worker's folder has: others are gone. */
  keep: z.array(z.number().int()),
});

export type Commit = z.output<typeof commitSchema>;

/** The standard's spelling of a file's hash: RFC 9530. */
export function reprDigest(sha256: string): string {
  const bytes = Uint8Array.fromHex(sha256);
  return `sha-256=:${bytes.toBase64()}:`;
}

/** Codes of refusals that a worker acts on. */
export const LEASE_LOST = "lease_lost", FILES_MISSING = "files_missing";

/** Header with the size of a file that a worker sends: a stream comes without a content-length. */
export const FILE_SIZE = "x-file-size";
