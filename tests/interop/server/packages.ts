/** Others' programs: installed from PyPI and npm into a folder, never into the repository. */
import { join } from "@std/path";

export interface Outcome {
  readonly success: boolean;
  /** Both outputs, without colours. */
  readonly text: string;
}

interface Where {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end. */
export async function attempt(
  program: string,
  args: readonly string[],
  { cwd, env = {} }: Where = {},
): Promise<Outcome> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, text: (decoder.decode(stdout) + decoder.decode(stderr)).trim() };
}

/** The same; throws with what it printed if it fails. */
export async function must(program: string, args: readonly string[], where?: Where) {
  const { success, text } = await attempt(program, args, where);
  if (!success) throw new Error(`${program} ${args.join(" ")}\n${text}`);
  return text;
}

/** A virtual environment of this Python with packages. */
export interface PythonPackages {
  /** A program of the environment. */
  readonly program: (name: string) => string;
  /** The installed version of a package. */
  readonly version: (name: string) => Promise<string>;
}

export async function pythonPackages(
  python: string,
  folder: string,
  packages: readonly string[],
): Promise<PythonPackages> {
  const program = (name: string) => join(folder, "bin", name);
  await must(python, ["-m", "venv", folder]);
  await must(program("python"), ["-m", "pip", "install", "--quiet", ...packages]);
  const code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))";
  return { program, version: (name) => must(program("python"), ["-c", code, name]) };
}

/** A folder with packages of npm, whose programs and modules Deno runs there. */
export interface NpmPackages {
  readonly folder: string;
  /** Runs Deno in the folder; throws if it fails. */
  readonly deno: (...args: string[]) => Promise<string>;
  readonly version: (name: string) => Promise<string>;
}

export async function npmPackages(
  folder: string,
  packages: Readonly<Record<string, string>>,
): Promise<NpmPackages> {
  await Deno.mkdir(folder, { recursive: true });
  const write = (name: string, content: object) =>
    Deno.writeTextFile(join(folder, name), JSON.stringify(content));
  await write("package.json", { type: "module", dependencies: packages });
  await write("deno.json", { nodeModulesDir: "auto" });
  const deno = (...args: string[]) => must(Deno.execPath(), args, { cwd: folder });
  await deno("install");
  const version = async (name: string) =>
    JSON.parse(await Deno.readTextFile(join(folder, "node_modules", name, "package.json"))).version;
  return { folder, deno, version };
}
