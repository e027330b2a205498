/** MPI's launcher, which starts the processes of a job that trains in several. */
import { LAUNCHERS } from "../../host/find_mpi.ts";
import { UserError } from "../../options/user_error.ts";
import { launcherWords, type MpiFamily } from "../../parallel/launch.ts";
import { INSTALL } from "../../parallel/mpi_library.ts";

export interface Launcher {
  readonly program: string;
  readonly family: MpiFamily;
}

/** So many processes by this launcher. */
export interface Launching {
  readonly launcher: Launcher;
  readonly size: number;
}

/**
 * Open MPI refuses to start anything as root, as a server in a container runs: it is to guard people
 * from themselves, and here it starts nothing but our own process.
 */
export const LAUNCHER_ENVIRONMENT: Readonly<Record<string, string>> = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
};

let found: Launcher | undefined;

/** Asked once. Throws a {@link UserError} that says what to install, or what to permit. */
export function findLauncher(): Launcher {
  return found ??= firstThere();
}

/** The words before a command that start it in so many processes on this machine. */
export function launchingWords({ launcher: { program, family }, size }: Launching): string[] {
  const [first, ...words] = launcherWords({ family, size }, program);
  // It would start no more processes than the machine has cores.
  return [first, ...family === "openmpi" ? ["--oversubscribe"] : [], ...words];
}

function firstThere(): Launcher {
  for (const program of LAUNCHERS.filter(mayRun)) {
    const family = familyOf(program);
    if (family) return { program, family };
  }
  const starts = "MPI's launcher starts the processes of such a job, and";
  if (mayRun()) throw new UserError(`${starts} there is none here: ${INSTALL.openmpi}`);
  throw new UserError(
    `${starts} it may not be run: add --allow-run="${Deno.execPath()},mpirun" (if there is none, ` +
      `${INSTALL.openmpi})`,
  );
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
