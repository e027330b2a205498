/**
 * Processes of a compiled program. It has no Deno that could run a module: it starts itself again,
 * with the module and its kinds of permission as arguments.
 */
const CHILD = "process-of-the-server";
const KINDS = ["read", "write", "env", "sys", "net", "run", "ffi", "import"] as const;

const [marker, module, kept, ...rest] = Deno.args;
const child = Deno.build.standalone && marker === CHILD ? { module, kept, args: rest } : null;

/** The arguments with which a compiled program runs `module`, a URL, with these kinds of permission. */
export function childArguments(
  module: string,
  kinds: readonly string[],
  args: readonly string[],
): string[] {
  return [CHILD, module, kinds.join(","), ...args];
}

/** The URL of the module that this process, started by a compiled program, has to run, or null. */
export const childModule: string | null = child && child.module;

/** Whether a module is the one that this process runs. */
export function isProgram({ main, url }: ImportMeta): boolean {
  return child ? child.module === url : main;
}

/** The arguments of the module that this process runs. */
export function programArguments(): readonly string[] {
  return child ? child.args : Deno.args;
}

/**
 * Gives up the kinds of permission that the process has no use for. Lists, such as which files, are
 * beyond a running process: that much confinement only Deno's own flags give.
 */
export function dropPermissions(): void {
  const given = child?.kept.split(",") ?? KINDS;
  for (const name of KINDS) if (!given.includes(name)) Deno.permissions.revokeSync({ name });
}
