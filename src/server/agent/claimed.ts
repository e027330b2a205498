/** What a server gives with a job, looked at before anything of it touches this machine. */
import { z } from "../../packages/zod.ts";
import { type Claimed, RUN, travellerSchema } from "../pool/protocol.ts";
import { safePlace } from "../pool/travellers.ts";
import { JOB_KINDS } from "../store/records.ts";
import { Refusal } from "./server_client.ts";

const place = z.string().max(500).refine((path) => {
  try {
    return safePlace(path);
  } catch {
    return false;
  }
}, "must be a place below the folder of the job");

/** Of a task nothing else: no environment of its processes, no paths that they may read. */
const claimedSchema = z.object({
  lease: z.string().regex(/^[\w-]{1,64}$/),
  seconds: z.number().positive(),
  task: z.object({
    kind: z.enum(JOB_KINDS),
    options: z.record(z.string(), z.unknown()),
    ranks: z.number().int().min(2).optional(),
    timings: z.record(z.string(), z.record(z.string(), z.string())).optional(),
  }),
  paths: z.object({ output: z.literal(RUN) }).catchall(z.union([place, z.array(place)])),
  files: z.array(travellerSchema.extend({ path: place })),
  origins: z.record(place, z.string()),
});

/** Throws a {@link Refusal} of what no server of this program sends. */
export function parseClaimed(answer: unknown): Claimed {
  const { success, data, error } = claimedSchema.safeParse(answer);
  if (success) return data;
  const explained = error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join(
    "; ",
  );
  throw new Refusal(`its answer to a claim is none: ${explained}`, 200, null);
}
