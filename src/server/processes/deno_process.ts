/** Programs of the server's own, each in its process and with the permissions that it needs. */
import { UserError } from "../../options/user_error.ts";

export interface Permissions {
  /** Files and folders; of folders all that is in them. */
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  /** Environment variables. */
  readonly env?: readonly string[];
  /** What Deno calls `sys`: figures of the machine, priorities. */
  readonly sys?: readonly string[];
}

/** What every process that opens the GPU asks for: the choice of graphics interfaces. */
export const GPU_ENVIRONMENT: readonly string[] = ["DENO_WEBGPU_BACKEND"];

/**
 * The command that runs `program`, a module's address, with `args`. What it imports the server has
 * loaded before, so nothing is downloaded. Throws a {@link UserError} for a path with a comma.
 */
export function denoProcess(
  program: string,
  { read, write, env, sys }: Permissions,
  { args = [], stdin = "null", stderr = "piped" }:
    & { readonly args?: readonly string[] }
    & Pick<Deno.CommandOptions, "stdin" | "stderr"> = {},
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--cached-only",
      ...flag("read", read?.map(permitted)),
      ...flag("write", write?.map(permitted)),
      ...flag("env", env),
      ...flag("sys", sys),
      program,
      ...args,
    ],
    stdin,
    stdout: "piped",
    stderr,
  });
}

/** Without a list Deno would allow everything of that kind. */
function flag(kind: string, list: readonly string[] = []): string[] {
  return list.length ? [`--allow-${kind}=${list.join(",")}`] : [];
}

/** Deno parts paths by commas and knows no way to write one in a path. */
function permitted(path: string): string {
  if (!path.includes(",")) return path;
  throw new UserError(
    `${path}: has a comma in its path, and no process can be given permission to read it`,
    "rename it, or the folder that it lies in",
  );
}
