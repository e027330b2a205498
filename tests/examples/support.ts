/** Runs programs of `examples/` as their readers would. */
import { fromFileUrl, join } from "@std/path";
import { main } from "../../src/cli/main.ts";

export const ROOT = fromFileUrl(new URL("../..", import.meta.url));
export const PLANETS = "examples/data/planets.jsonl";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in the root of the project; `onOutput` sees stdout as it grows. */
export async function run(
  [command, ...args]: readonly string[],
  { env = {}, onOutput }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly onOutput?: (out: string) => void;
  } = {},
): Promise<Run> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", OPENAI_API_KEY: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let out = "";
  const [, err, { code }] = await Promise.all([
    (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        out += text;
        onOutput?.(out);
      }
    })(),
    new Response(child.stderr).text(),
    child.status,
  ]);
  return { code, out, err };
}

/** The command in the header of a Deno example, with our arguments. */
export async function documented(path: string, args: readonly string[]): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, path));
  const words = /^ \* +deno (run .*?)\b(?=examples\/)/m.exec(text)![1].trim().split(/\s+/);
  // The product's lock is not for packages of examples.
  const lock = "--lock=tests/deno.lock";
  return [Deno.execPath(), words[0], "--no-prompt", lock, ...words.slice(1), path, ...args];
}

/** An API key of the server that has this data folder. */
export async function makeKey(folder: string): Promise<string> {
  const said: string[] = [];
  await main(["key", "--create", "example", "--data-folder", folder], {
    stdout: (line) => said.push(line),
    write: () => {},
    stderr: () => {},
    interactive: false,
    signal: new AbortController().signal,
  });
  return said[0];
}

/** Forwards connections to a local port, and can cut all of them. */
export class CuttingProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #cutting = new AbortController();

  constructor(readonly target: number) {
    this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  cut(): void {
    this.#cutting.abort();
    this.#cutting = new AbortController();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.cut();
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
      const { signal } = this.#cutting, ignore = () => {};
      near.readable.pipeTo(far.writable, { signal }).catch(ignore);
      far.readable.pipeTo(near.writable, { signal }).catch(ignore);
    }
  }
}
