/** A server that starts a task and passes on which steps it has heard of. Argument: the task, as JSON. */
import { startTraining } from "../../../src/server/jobs/training_process.ts";

// As while a server waits for its jobs to save.
Deno.addSignalListener("SIGINT", () => {});

for await (const event of startTraining(JSON.parse(Deno.args[0])).events) {
  if (event.type === "step") console.log(`step ${event.step}.`);
}
