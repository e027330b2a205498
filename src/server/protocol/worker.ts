/** Workers as clients see them. */
import { z } from "../../packages/zod_openapi.ts";
import type { Services } from "../services.ts";
import { placesOf } from "../store/records.ts";

const workerSchema = z.object({
  object: z.literal("worker"),
  id: z.string().openapi({
    description: "Its name: `server-1`, `server-2`, … on the server's own machine",
  }),
  card: z.string().openapi({ description: "Name of its GPU" }),
  job: z.string().nullable().openapi({ description: "The job that it runs, if it runs one" }),
}).openapi("Worker");

export const workerPageSchema = z.object({
  object: z.literal("list"),
  data: z.array(workerSchema),
}).openapi("WorkerPage");

/** The server's own first, in order of their names. */
export function toWorkers(
  { own, store, pool }: Pick<Services, "own" | "store" | "pool">,
): z.output<typeof workerPageSchema> {
  const running = new Map(
    store.jobs.withStatus("running").flatMap(({ id, runsOn }) =>
      placesOf(runsOn).map(({ worker }) => [worker, id] as const)
    ),
  );
  return {
    object: "list",
    data: [...own, ...pool?.workers() ?? []].map(({ worker, card }) => ({
      object: "worker" as const,
      id: worker,
      card,
      job: running.get(worker) ?? null,
    })),
  };
}
