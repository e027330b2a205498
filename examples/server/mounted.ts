/**
 * The training server as part of a larger site: its own page, and under `/train` the
 * dashboard and the API. OpenAI's clients take `http://127.0.0.1:8000/train/v1` as their base URL.
 *
 *     deno run -A examples/server/mounted.ts [port] [data folder] [models folder]
 */
import { openServer } from "@deno-galore/trainer/server";
import { Hono } from "hono";

const [port = "8000", dataFolder = "server-data", modelsFolder = "models"] = Deno.args;
const hostname = "127.0.0.1";
const trainer = await openServer({ host: hostname, dataFolder, modelsFolder });

const site = new Hono();
site.get("/", (context) => context.html('<h1>Our site</h1><a href="/train/">Training</a>'));
site.route("/train", trainer.app);

const http = Deno.serve({
  hostname,
  port: Number(port),
  onListen: (address) => console.log(`http://${hostname}:${address.port}/`),
}, site.fetch);
trainer.start();

// Event streams end and the running job is saved before the data folder is closed.
async function stop(): Promise<void> {
  const drained = http.shutdown();
  await trainer.stop();
  await drained;
  await trainer.close();
}
Deno.addSignalListener("SIGINT", stop);
Deno.addSignalListener("SIGTERM", stop);
