/** Options from a file, through the command line. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { COMMANDS, main } from "../../src/cli/main.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";

export type Values = Record<string, unknown>;

export async function withFile<T>(
  text: string,
  use: (path: string) => Promise<T>,
  name = "run.yaml",
) {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text);
    return await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The options that a command runs with, or its error, without the file's folder. */
export async function run(command: string, text: string, flags: string[] = [], name = "run.yaml") {
  return await withFile(text, async (path) => {
    const err: string[] = [];
    let options: Values | undefined;
    const commands = COMMANDS.map((each) => ({
      ...each,
      run: (given: Values) => {
        options = given;
        return Promise.resolve(0);
      },
    }));
    const code = await main([command, "--config", path, ...flags], {
      stdout: () => {},
      write: () => {},
      stderr: (line) => err.push(line),
      interactive: false,
      signal: new AbortController().signal,
    }, commands);
    const folder = path.slice(0, -name.length);
    return { code, options, err: err.join("\n").replaceAll(folder, "").split("\n") };
  }, name);
}

/** The options that differ from the defaults. */
export async function optionsOf(text: string, flags: string[] = []): Promise<Values> {
  const { options, err } = await run("finetune", text, flags);
  assert(options, err.join("\n"));
  const defaults: Values = {
    ...finetuneOptions.parse({ model: "-", data: ["-"], output: "-" }),
  };
  return Object.fromEntries(
    Object.entries(options).filter(([option, value]) =>
      JSON.stringify(value) !== JSON.stringify(defaults[option])
    ),
  );
}

export async function faultsOf(text: string, flags: string[] = [], command = "finetune") {
  const { code, options, err } = await run(command, text, flags);
  assertEquals([code, options], [2, undefined], "was accepted");
  assertStringIncludes(err.pop()!, "--help");
  return err;
}

export const REQUIRED = { model: "m", data: ["d.json"], output: "o" };
export const MINIMAL = "model: m\ndata: d.json\noutput: o\n";
