/** Child processes of the server, with the least permissions. */
import { resolve } from "../../packages/std_path.ts";
import { ggufParts } from "../../files/gguf_path.ts";
import { UserError } from "../../options/user_error.ts";
import { LAUNCHER_ENVIRONMENT, type Launching, launchingWords } from "./launcher.ts";
import { childArguments } from "./own_program.ts";

export interface Permissions {
  /** Files and folders; folders include their contents, one part of a GGUF model the others. */
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  /** Environment variables. */
  readonly env?: readonly string[];
  /** Deno's `sys` permissions: system information, priorities. */
  readonly sys?: readonly string[];
  /** Native libraries. */
  readonly ffi?: readonly string[];
}

/** What every process that opens the GPU sets for its driver. */
export const GPU_ENVIRONMENT: readonly string[] = ["DENO_WEBGPU_BACKEND", "XDG_RUNTIME_DIR"];

/**
 * The command that runs `program`, a module URL, with `args`, by a launcher in several processes. The
 * server has already loaded its imports, so nothing is downloaded. Throws a {@link UserError} for a path
 * with a comma.
 *
 * In a program made by `deno compile` the process is that program again, and is confined by kinds of
 * permission alone.
 */
export function denoProcess(
  program: string,
  permissions: Permissions,
  { args = [], stdin = "null", stderr = "piped", environment, launching }:
    & {
      readonly args?: readonly string[];
      /** Variables beyond those of this process. */
      readonly environment?: Readonly<Record<string, string>>;
      readonly launching?: Launching;
    }
    & Pick<Deno.CommandOptions, "stdin" | "stderr"> = {},
): Deno.Command {
  const words = Deno.build.standalone
    ? childArguments(program, Object.keys(permissions), args)
    : ["run", "--quiet", "--no-prompt", "--cached-only", ...flags(permissions), program, ...args];
  const [command, ...rest] = [
    ...launching ? launchingWords(launching) : [],
    Deno.execPath(),
    ...words,
  ];
  return new Deno.Command(command, {
    args: rest,
    env: launching ? { ...environment, ...LAUNCHER_ENVIRONMENT } : environment,
    // A launcher would pass on what a terminal sends to all of its processes.
    detached: launching !== undefined,
    stdin,
    stdout: "piped",
    stderr,
  });
}

function flags({ read, write, env, sys, ffi }: Permissions): string[] {
  return [
    ...flag("read", read?.flatMap(ggufParts).map(permitted)),
    ...flag("write", write?.map(permitted)),
    ...flag("env", env),
    ...flag("sys", sys),
    ...flag("ffi", ffi),
  ];
}

/** Without a list Deno would grant the permission for everything. */
function flag(kind: string, list: readonly string[] = []): string[] {
  return list.length ? [`--allow-${kind}=${list.join(",")}`] : [];
}

/**
 * Refuses folders whose files no process could be allowed to read, before one is started. Throws a
 * {@link UserError} that names the first.
 */
export function assertPermissible(folders: readonly string[]): void {
  if (!Deno.build.standalone) folders.map((folder) => permitted(resolve(folder)));
}

/** Deno separates paths by commas and offers no way to escape one. */
function permitted(path: string): string {
  if (!path.includes(",")) return path;
  throw new UserError(
    `${path}: has a comma in its path, which Deno's permissions cannot express`,
    "rename it or its folder",
  );
}
