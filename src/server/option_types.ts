/**
 * Options as types, for editors. Written by `deno task options` from the schemas of the options:
 * change those, not this file.
 *
 * @module
 */

/** Options of a server; `openServer` and `serve` fill in what is not given. */
export interface ServerOptions {
  /**
   * Where files, jobs and results are kept; nothing is written elsewhere.
   * @default server-data
   */
  readonly dataFolder: string;
  /**
   * Base models: folders in Hugging Face's layout and .gguf files.
   * @default models
   */
  readonly modelsFolder: string;
  /**
   * Address to listen on; any but this machine's own needs an API key (`key create`).
   * @default 127.0.0.1
   */
  readonly host: string;
  /**
   * 0 takes a free one.
   * @default 8000
   */
  readonly port: number;
  /** Origins of web pages on other sites that may use the API. */
  readonly corsOrigin?: string[];
  /**
   * GiB of GPU memory that jobs and models may take.
   * @default what is free with a software adapter; unknown with a card
   */
  readonly gpuMemory?: number;
  /**
   * GiB that the data folder may take.
   * @default what the disk has
   */
  readonly diskQuota?: number;
  /**
   * MiB of an uploaded file.
   * @default 512
   */
  readonly maxUpload: number;
  /**
   * KiB of any other request.
   * @default 1024
   */
  readonly maxBody: number;
  /**
   * Requests that are answered at a time.
   * @default 256
   */
  readonly maxRequests: number;
  /**
   * Event streams that are held at a time.
   * @default 256
   */
  readonly maxStreams: number;
  /**
   * Requests a minute, of a key or an address.
   * @default 6000 beyond this machine, unlimited on it
   */
  readonly rateLimit?: number;
  /**
   * Newest checkpoints kept of a job.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * Keep checkpoints of jobs that succeeded while there is room; the result stays anyway.
   * @default true
   */
  readonly keepFinishedCheckpoints: boolean;
  /**
   * Days after which an uploaded file goes that no job needs; 0: never.
   * @default 0
   */
  readonly keepFiles: number;
  /**
   * Minutes after which a model that nobody talks to leaves the GPU.
   * @default 10
   */
  readonly modelIdle: number;
}
