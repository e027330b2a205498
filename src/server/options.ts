/** The options of the server. */
import { z } from "../packages/zod.ts";
import { option, phrase } from "../options/phrase.ts";
import { count } from "../train/fields.ts";
import { defineOptions, type Options, type Rule, section } from "../options/schema.ts";
import { LOG_FORMATS } from "./server_log.ts";
import type { ServerInput, ServerOptions } from "./option_types.ts";

export type { ServerInput, ServerOptions } from "./option_types.ts";

const folder = () => z.string().min(1);

export const dataFolderField = folder().default("server-data").describe(
  "folder for files, jobs and results; the server writes nowhere else",
).meta({ value: "dir" });

/** Of the server, and of workers on other machines. */
export const queueField = z.string().min(1).describe(
  "PostgreSQL database by which workers on other machines get jobs",
).meta({ value: "postgres://…" });

export const logFormatField = z.enum(LOG_FORMATS).default("text").describe(
  "format of the log on stderr; json: one object per line",
);

const rules: Rule[] = [
  ({ workers, queue }) =>
    workers === 0 && queue === undefined
      ? {
        option: "workers",
        message:
          phrase`0 is for a server with workers on other machines, which take jobs from its ${
            option("queue")
          }`,
      }
      : undefined,
];

/** The schema of {@link ServerOptions}: flags, `--help`, checks and defaults. */
export const serverOptions: Options<ServerOptions, ServerInput> = defineOptions({
  rules,
  fields: {
    ...section("Folders", {
      dataFolder: dataFolderField,
      modelsFolder: folder().default("models").describe(
        "base models: folders in Hugging Face's layout, .gguf files, and what runs have saved",
      ).meta({ value: "dir" }),
    }),
    ...section("Network", {
      host: z.string().min(1).default("127.0.0.1").describe(
        "address to listen on; any but localhost needs an API key (`key --create NAME`)",
      ).meta({ value: "address" }),
      port: z.number().int().min(0).max(65535).default(8000).describe(
        "port to listen on; 0 picks a free one",
      ),
      corsOrigin: z.array(z.string().min(1)).optional().describe(
        "origins of other websites that may use the API",
      ).meta({ value: "https://…" }),
    }),
    ...section("Workers", {
      workers: z.number().int().min(0).optional().describe(
        "jobs that run on this machine at the same time; 0: none, all run elsewhere",
      ).meta({ derived: "one on each card" }),
      queue: queueField.optional(),
      lease: z.number().min(1).default(30).describe(
        "seconds without a sign of life after which another takes a worker's job on",
      ).meta({ value: "seconds" }),
    }),
    ...section("Limits", {
      gpuMemory: z.number().positive().optional().describe(
        "GPU memory that jobs and models may use, in GiB",
      ).meta({ derived: "free memory on a software adapter, otherwise no limit" }),
      diskQuota: z.number().positive().optional().describe(
        "maximum size of the data folder, in GiB",
      )
        .meta({ derived: "the size of the disk" }),
      maxUpload: z.number().positive().default(512).describe("maximum size of an upload, in MiB"),
      maxBody: z.number().positive().default(1024).describe(
        "maximum size of other requests, in KiB",
      ),
      maxRequests: count().default(256).describe("maximum concurrent requests"),
      maxStreams: count().default(256).describe("maximum concurrent event streams"),
      maxWaiting: count().default(32).describe(
        "maximum requests that wait for the answer of a model, one at a time",
      ),
      rateLimit: count().optional().describe("requests per minute for each key or address")
        .meta({ derived: "unlimited on localhost, otherwise 6000" }),
    }),
    ...section("Log", {
      logFormat: logFormatField,
    }),
    ...section("Retention", {
      keepCheckpoints: count().default(2).describe("number of newest checkpoints to keep per job"),
      keepFinishedCheckpoints: z.boolean().default(true).describe(
        "keep the checkpoints of succeeded jobs; if space runs out, those of ended jobs are " +
          "deleted all the same, results never",
      ),
      keepFiles: z.number().min(0).default(0).describe(
        "days after which uploads that no job needs are deleted; 0: never",
      ),
      modelIdle: z.number().min(0).default(10).describe(
        "minutes after which an idle model is unloaded from the GPU",
      ),
    }),
  },
});
