/** The options of a worker on another machine. */
import { z } from "../../packages/zod.ts";
import { count } from "../../train/fields.ts";
import { defineOptions, section } from "../../options/schema.ts";
import { logFormatField, queueField } from "../options.ts";

/** Of a machine: its workers are this and a number. */
export const workerName = z.string().regex(/^[\w.-]{1,48}$/, {
  error: "must be 1 to 48 letters, digits, `.`, `_` or `-`",
}).refine((name) => name !== "server", {
  error: "must not be `server`, as the server's own workers are called",
});

export const workerOptions = defineOptions({
  fields: {
    ...section("Server", {
      server: z.url({ protocol: /^https?$/, error: "must be an address: https://host:port" })
        .describe("the server's address, below which its API is").meta({ value: "https://…" }),
      queue: queueField,
      keyFile: z.string().min(1).optional().describe(
        "file with an API key of the server, alone in it",
      ).meta({ value: "file" }),
    }),
    ...section("This machine", {
      name: workerName.optional().describe("how the server names this machine").meta({
        value: "name",
        derived: "the machine's own name",
      }),
      workers: count().optional().describe("jobs that run on this machine at the same time").meta({
        derived: "one on each card",
      }),
      folder: z.string().min(1).default("worker-data").describe(
        "folder for inputs and runs; what is needed of them lies with the server",
      ).meta({ value: "dir" }),
      gpuMemory: z.number().positive().optional().describe(
        "GPU memory that a job may use, in GiB",
      ).meta({ derived: "free memory on a software adapter, otherwise no limit" }),
      logFormat: logFormatField,
    }),
  },
});

export type WorkerOptions = ReturnType<typeof workerOptions.parse>;
