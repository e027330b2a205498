/** A real server: a separate process, a free port, and temporary folders. */
import { fromFileUrl, join } from "@std/path";
import OpenAI from "openai";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** Time to load everything and probe the GPU in a separate process, on a busy machine. */
const START_MS = 120_000;

export interface ServerSetup {
  /** Flags of `serve` beyond those that are set here. */
  readonly args?: readonly string[];
  /** Name in the models folder, and the folder or file to copy there. */
  readonly models?: Readonly<Record<string, string>>;
  /** Permissions instead of `-A`. */
  readonly permissions?: readonly string[];
  /** What the client sends as its key. */
  readonly apiKey?: string;
  /** By default any that is free. */
  readonly port?: number;
  /** An executable in place of `deno run cli.ts`. */
  readonly program?: string;
  /** Another checkout, whose cli.ts is run; by default this one. */
  readonly checkout?: string;
  /** Environment variables beyond those of the test. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestServer {
  /** Without a trailing slash. */
  readonly url: string;
  /** The data folder. */
  readonly folder: string;
  readonly modelsFolder: string;
  readonly process: Deno.ChildProcess;
  /** The official client, unmodified. */
  readonly client: OpenAI;
  /** What the server wrote to stderr so far. */
  log(): string;
  /** Sends a signal, SIGTERM unless given, and waits for the end. */
  stop(signal?: Deno.Signal): Promise<Deno.CommandStatus>;
}

/** Runs with a server on a temporary folder, and stops it; shows its log on failure. */
export async function withServer(
  setup: ServerSetup,
  use: (server: TestServer) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "server-" });
  try {
    const folders = await makeFolders(root, setup.models);
    const server = await startServer({ ...setup, ...folders });
    try {
      await use(server);
    } catch (error) {
      console.error(`--- log of the server ---\n${server.log()}--- end of the log ---`);
      throw error;
    } finally {
      await server.stop("SIGKILL");
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** A data folder and a models folder with copies of these models, in `root`. */
export async function makeFolders(root: string, models: ServerSetup["models"] = {}) {
  const folder = join(root, "data"), modelsFolder = join(root, "models");
  await Deno.mkdir(modelsFolder);
  for (const [name, from] of Object.entries(models)) await copy(from, join(modelsFolder, name));
  return { folder, modelsFolder };
}

/** Starts a server on given folders, as after a crash; throws with its log if it does not come up. */
export async function startServer(
  setup: Omit<ServerSetup, "models"> & Pick<TestServer, "folder" | "modelsFolder">,
): Promise<TestServer> {
  const { permissions = ["-A"], checkout = ROOT, program, env } = setup;
  const { args = [], apiKey = "none", port = 0, folder, modelsFolder } = setup;
  const folders = ["--data-folder", folder, "--models-folder", modelsFolder];
  const flags = ["--port", String(port), ...folders, ...args];
  const run = program ? [] : ["run", "--no-prompt", ...permissions, join(checkout, "cli.ts")];
  const process = new Deno.Command(program ?? Deno.execPath(), {
    args: [...run, "serve", "--json", ...flags],
    cwd: checkout,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let log = "";
  const logged = collect(process.stderr, (text) => log += text);
  let told = "";
  const listening = Promise.withResolvers<string>();
  const ended = collect(process.stdout, (text) => {
    told += text;
    const line = told.split("\n").slice(0, -1).find((line) => line.includes('"listening"'));
    if (line) listening.resolve(JSON.parse(line).url);
  });
  const stop = async (signal: Deno.Signal = "SIGTERM") => {
    try {
      process.kill(signal);
    } catch {
      // It has already ended.
    }
    await Promise.all([ended, logged]);
    return await process.status;
  };
  const timer = setTimeout(() => {
    listening.reject(new Error(`the server did not listen within ${START_MS / 1000} s`));
  }, START_MS);
  ended.then(() => listening.reject(new Error("the server ended before it listened")));
  try {
    const url = await listening.promise;
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    return { url, folder, modelsFolder, process, client, log: () => log, stop };
  } catch (error) {
    await stop("SIGKILL");
    throw new Error(`${(error as Error).message}\n${told}${log}`);
  } finally {
    clearTimeout(timer);
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void) {
  const decoder = new TextDecoder();
  for await (const bytes of stream) add(decoder.decode(bytes, { stream: true }));
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}
