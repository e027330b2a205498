/** Workers as processes of their own, as on other machines. */
import { fromFileUrl, join } from "@std/path";
import { until } from "../until.ts";

const ROOT = fromFileUrl(new URL("../../..", import.meta.url));

export interface TestWorker {
  readonly name: string;
  log(): string;
  /** Sends a signal and waits for the end. */
  stop(signal?: Deno.Signal): Promise<number>;
}

export interface WorkerSetup {
  readonly name: string;
  readonly server: string;
  readonly queue: string;
  readonly folder: string;
  readonly args?: readonly string[];
  readonly permissions?: readonly string[];
}

/** Resolves when it takes jobs. */
export async function startWorker(setup: WorkerSetup): Promise<TestWorker> {
  const { name, server, queue, folder, args = [], permissions = ["-A"] } = setup;
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--no-check", ...permissions, join(ROOT, "cli.ts"), "worker"],
      ...["--name", name, "--server", server, "--queue", queue, "--folder", folder, ...args],
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  let code: number | undefined;
  const read = (async () => {
    const text = process.stderr.pipeThrough(new TextDecoderStream());
    for await (const piece of text) log += piece;
  })();
  const ended = process.status.then((status) => code = status.code);
  const stop = async (signal: Deno.Signal = "SIGTERM") => {
    if (code === undefined) process.kill(signal);
    await read;
    return await ended;
  };
  await until("the worker takes jobs", () => {
    if (code !== undefined) throw new Error(`the worker ended:\n${log}`);
    return log.includes("takes jobs of");
  });
  return { name, log: () => log, stop };
}
