/** `serve`: the training server. */
import { type ServerOptions, serverOptions } from "../server/options.ts";
import { ServerLog } from "../server/server_log.ts";
import { serve as serveUntil } from "../server/serve.ts";
import { type Command, EXIT, type Io } from "./command.ts";

export const serve: Command = {
  name: "serve",
  summary: "run the training server: OpenAI's API, live metrics, a dashboard",
  details:
    "Runs until interrupted; the running job then saves a checkpoint and continues when the " +
    "server is back. Any address but localhost needs a key first: `key --create NAME`. With " +
    "--verbose it logs every request.",
  examples: [
    "serve",
    "serve --data-folder /srv/trainer --models-folder /srv/models --port 9000",
    "serve --host 0.0.0.0 --rate-limit 600",
  ],
  opensGpu: true,
  options: serverOptions,
  run,
};

async function run(options: ServerOptions, io: Io): Promise<number> {
  const log = new ServerLog((line) => io.log(line), options.logFormat);
  io.describeStop(() => ({ first: "saving the running job before exit", log }));
  await serveUntil(options, {
    signal: io.signal,
    log: (line) => io.log(line),
    verbose: io.verbose,
    onListening: (url) => {
      io.event({ type: "listening", url });
      log.info(`listening on ${url} · dashboard / · docs /docs`);
    },
  });
  return EXIT.done;
}
