/** Finds MPI's launcher, which starts the processes of a job that trains in several. */
import { LAUNCHERS } from "../../host/find_mpi.ts";
import { UserError } from "../../options/user_error.ts";
import { dirname } from "../../packages/std_path.ts";
import type { MpiFamily } from "../../parallel/launch.ts";
import { INSTALL, libraryPlaces } from "../../parallel/mpi_library.ts";
import { denoProcess } from "./deno_process.ts";
import { type Launcher, LAUNCHER_ENVIRONMENT } from "./launcher.ts";

const PROGRAM = new URL("./mpi_process.ts", import.meta.url).href;

let found: Launcher | undefined;

/** Asked once. Throws a {@link UserError} that says what to install, or what to permit. */
export function findLauncher(): Launcher {
  return found ??= firstLauncher(hasLibrary);
}

/** The first that may be run, and whose library the processes of a job can open. */
export function firstLauncher(isComplete: (launcher: Launcher) => boolean): Launcher {
  const there = LAUNCHERS.filter(mayRun).flatMap((program) => {
    const family = familyOf(program);
    return family ? [{ program, family }] : [];
  });
  const complete = there.find(isComplete);
  if (complete) return complete;
  if (there.length) throw withoutLibrary(there[0]);
  const starts = "MPI's launcher starts the processes of such a job, and";
  if (mayRun()) throw new UserError(`${starts} there is none here: ${INSTALL.openmpi}`);
  throw new UserError(
    `${starts} it may not be run: add --allow-run="${Deno.execPath()},mpirun" (if there is none, ` +
      `${INSTALL.openmpi})`,
  );
}

function withoutLibrary({ program, family }: Launcher): UserError {
  const folders = new Set(libraryPlaces(family).map((path) => dirname(path)));
  return new UserError(
    `${program} would start the processes of such a job, which find its library in none of ` +
      `${[...folders].join(", ")}: ${INSTALL[family]}`,
  );
}

/** Tried in a process that may open what the processes of a job may. */
function hasLibrary({ family }: Launcher): boolean {
  const ffi = libraryPlaces(family);
  return denoProcess(PROGRAM, { ffi }, { args: [family] }).outputSync().success;
}

/** Any program, unless one is given. */
function mayRun(command?: string): boolean {
  return Deno.permissions.querySync({ name: "run", command }).state === "granted";
}

/** Undefined if it does not start. */
function familyOf(program: string): MpiFamily | undefined {
  try {
    const { stdout } = new Deno.Command(program, {
      args: ["--version"],
      env: LAUNCHER_ENVIRONMENT,
      stdout: "piped",
      stderr: "null",
    }).outputSync();
    const text = new TextDecoder().decode(stdout);
    return /Open ?MPI|OpenRTE|PRRTE/i.test(text)
      ? "openmpi"
      : /HYDRA|MPICH|Intel\(R\) MPI/i.test(text)
      ? "mpich"
      : undefined;
  } catch {
    return undefined;
  }
}
