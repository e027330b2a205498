/** Processes started by MPI's launcher. */
import { fromFileUrl } from "@std/path";
import { findMpirun } from "../../src/host/find_mpi.ts";

const MPIRUN = findMpirun();
const LOCK = fromFileUrl(import.meta.resolve("../deno.lock"));

/** What came of them. */
export interface Ranks {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A module of this folder in `size` processes. */
export async function inRanks(
  size: number,
  module: string,
  args: readonly string[],
  { permissions = ["-A"], env }: {
    readonly permissions?: readonly string[];
    readonly env?: Record<string, string>;
  } = {},
): Promise<Ranks> {
  const path = fromFileUrl(import.meta.resolve(`./${module}`));
  const run = ["run", ...permissions, "--no-check", `--lock=${LOCK}`, path, ...args];
  const { code, stdout, stderr } = await mpirun(size, [Deno.execPath(), ...run], env).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out, stderr: err };
}

/** A program in `size` processes, on however few processors. */
export function mpirun(
  size: number,
  program: readonly string[],
  env: Record<string, string> = {},
): Deno.Command {
  return new Deno.Command(MPIRUN!, {
    args: [
      ...Deno.uid() === 0 ? ["--allow-run-as-root"] : [],
      "--oversubscribe",
      "-n",
      `${size}`,
      ...program,
    ],
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  });
}

/** A test that needs the launcher; skipped where it is missing. */
export function mpiTest(name: string, fn: () => Promise<void>): void {
  const skipped = MPIRUN ? "" : " (skipped: Open MPI was not found; `deno task setup-mpi`)";
  Deno.test({ name: name + skipped, ignore: !MPIRUN, fn });
}
