/** `worker`: runs jobs of a training server on this machine. */
import { runAgent } from "../server/agent/agent.ts";
import { type WorkerOptions, workerOptions } from "../server/agent/options.ts";
import { ServerLog } from "../server/server_log.ts";
import { type Command, EXIT, type Io } from "./command.ts";

export const worker: Command = {
  name: "worker",
  summary: "also run a server's jobs on this machine",
  details:
    "Takes jobs from a server started with the same --queue. Models and data come from the server, " +
    "checkpoints and results go there. Runs until interrupted; a running job is then saved and " +
    "continues elsewhere.",
  examples: [
    "worker --server http://10.0.0.1:8000 --queue postgres://trainer@10.0.0.1/trainer --key-file key",
  ],
  opensGpu: true,
  options: workerOptions,
  run,
};

async function run(options: WorkerOptions, io: Io): Promise<number> {
  const log = new ServerLog((line) => io.log(line), options.logFormat);
  io.describeStop(() => ({ first: "saving the running job before exit", log }));
  await runAgent(options, {
    signal: io.signal,
    log,
    onReady: (workers) => {
      io.event({ type: "ready", workers });
      log.info(`takes jobs of ${options.server} as ${workers.join(", ")}`);
    },
  });
  return EXIT.done;
}
