/**
 * Options as types, for editors. Written by `deno task options` from the schemas of the options:
 * change those, not this file.
 *
 * @module
 */

import type { Given } from "../options/schema.ts";

/** Options of a server, with the defaults of those that are not given. */
export interface ServerOptions {
  /**
   * Folder for files, jobs and results; the server writes nowhere else.
   * @default server-data
   */
  readonly dataFolder: string;
  /**
   * Base models: folders in Hugging Face's layout, .gguf files, and what runs have saved.
   * @default models
   */
  readonly modelsFolder: string;
  /**
   * Address to listen on; any but localhost needs an API key (`key --create NAME`).
   * @default 127.0.0.1
   */
  readonly host: string;
  /**
   * Port to listen on; 0 picks a free one.
   * @default 8000
   */
  readonly port: number;
  /** Origins of other websites that may use the API. */
  readonly corsOrigin?: string[];
  /**
   * Jobs that run on this machine at the same time; 0: none, all run elsewhere.
   * @default one on each card
   */
  readonly workers?: number;
  /** PostgreSQL database by which workers on other machines get jobs. */
  readonly queue?: string;
  /**
   * Seconds without a sign of life after which another takes a worker's job on.
   * @default 30
   */
  readonly lease: number;
  /**
   * GPU memory that jobs and models may use, in GiB.
   * @default free memory on a software adapter, otherwise no limit
   */
  readonly gpuMemory?: number;
  /**
   * Maximum size of the data folder, in GiB.
   * @default the size of the disk
   */
  readonly diskQuota?: number;
  /**
   * Maximum size of an upload, in MiB.
   * @default 512
   */
  readonly maxUpload: number;
  /**
   * Maximum size of other requests, in KiB.
   * @default 1024
   */
  readonly maxBody: number;
  /**
   * Maximum concurrent requests.
   * @default 256
   */
  readonly maxRequests: number;
  /**
   * Maximum concurrent event streams.
   * @default 256
   */
  readonly maxStreams: number;
  /**
   * Maximum requests that wait for the answer of a model, one at a time.
   * @default 32
   */
  readonly maxWaiting: number;
  /**
   * Requests per minute for each key or address.
   * @default unlimited on localhost, otherwise 6000
   */
  readonly rateLimit?: number;
  /**
   * Format of the log on stderr; json: one object per line.
   * @default text
   */
  readonly logFormat: "text" | "json";
  /**
   * Number of newest checkpoints to keep per job.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * Keep the checkpoints of succeeded jobs; if space runs out, those of ended jobs are deleted all
   * the same, results never.
   * @default true
   */
  readonly keepFinishedCheckpoints: boolean;
  /**
   * Days after which uploads that no job needs are deleted; 0: never.
   * @default 0
   */
  readonly keepFiles: number;
  /**
   * Minutes after which an idle model is unloaded from the GPU.
   * @default 10
   */
  readonly modelIdle: number;
}

/** Options of a server, as a program gives them. */
export interface ServerInput extends Given<ServerOptions> {
}
