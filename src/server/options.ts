/** The options of the server. */
import { z } from "zod";
import { count } from "../train/options.ts";
import { defineOptions, type Options, section } from "../options/schema.ts";
import type { ServerOptions } from "./option_types.ts";

export type { ServerOptions } from "./option_types.ts";

const folder = () => z.string().min(1);

export const dataFolderField = folder().default("server-data").describe(
  "where files, jobs and results are kept; nothing is written elsewhere",
).meta({ value: "dir" });

/** The schema of {@link ServerOptions}: flags, `--help`, checks and defaults. */
export const serverOptions: Options<ServerOptions> = defineOptions({
  fields: {
    ...section("Folders", {
      dataFolder: dataFolderField,
      modelsFolder: folder().default("models").describe(
        "base models: folders in Hugging Face's layout and .gguf files",
      ).meta({ value: "dir" }),
    }),
    ...section("Network", {
      host: z.string().min(1).default("127.0.0.1").describe(
        "address to listen on; any but this machine's own needs an API key (`key create`)",
      ).meta({ value: "address" }),
      port: z.number().int().min(0).max(65535).default(8000).describe("0 takes a free one"),
      corsOrigin: z.array(z.string().min(1)).optional().describe(
        "origins of web pages on other sites that may use the API",
      ).meta({ value: "https://…" }),
    }),
    ...section("Limits", {
      gpuMemory: z.number().positive().optional().describe(
        "GiB of GPU memory that jobs and models may take",
      ).meta({ derived: "what is free with a software adapter; unknown with a card" }),
      diskQuota: z.number().positive().optional().describe("GiB that the data folder may take")
        .meta({ derived: "what the disk has" }),
      maxUpload: z.number().positive().default(512).describe("MiB of an uploaded file"),
      maxBody: z.number().positive().default(1024).describe("KiB of any other request"),
      maxRequests: count().default(256).describe("requests that are answered at a time"),
      maxStreams: count().default(256).describe("event streams that are held at a time"),
      rateLimit: count().optional().describe("requests a minute, of a key or an address")
        .meta({ derived: "6000 beyond this machine, unlimited on it" }),
    }),
    ...section("Retention", {
      keepCheckpoints: count().default(2).describe("newest checkpoints kept of a job"),
      keepFinishedCheckpoints: z.boolean().default(true).describe(
        "keep checkpoints of jobs that succeeded while there is room; the result stays anyway",
      ),
      keepFiles: z.number().min(0).default(0).describe(
        "days after which an uploaded file goes that no job needs; 0: never",
      ),
      modelIdle: z.number().min(0).default(10).describe(
        "minutes after which a model that nobody talks to leaves the GPU",
      ),
    }),
  },
});
