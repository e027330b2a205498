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

/** Schedulers whose allocations Open MPI would take as the machines to start processes on. */
const SCHEDULERS = "^slurm,tm,pbs,gridengine,lsf,alps,loadleveler,pals,flux";

export const LAUNCHER_ENVIRONMENT: Readonly<Record<string, string>> = {
  // Open MPI refuses to start anything as root, as a server in a container runs: it is to guard people
  // from themselves, and here it starts nothing but our own process.
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  // The processes of a job stay on this machine, whatever hosts the server's surroundings name: to
  // Open MPI 4, and to the PRRTE of Open MPI 5.
  OMPI_MCA_orte_default_hostfile: "none",
  OMPI_MCA_ras: SCHEDULERS,
  OMPI_MCA_plm: "isolated",
  PRTE_MCA_prte_default_hostfile: "none",
  PRTE_MCA_ras: SCHEDULERS,
};

/** On no other machine, as {@link LAUNCHER_ENVIRONMENT} has it. */
const HERE: Readonly<Record<MpiFamily, (size: number) => readonly string[]>> = {
  // It would start no more processes than the machine has cores.
  openmpi: (size) => ["--host", `localhost:${size}`, "--oversubscribe"],
  mpich: () => ["-launcher", "fork", "-rmk", "user", "-hosts", "localhost"],
};

let found: Launcher | undefined;

/** Asked once. Throws a {@link UserError} that says what to install, or what to permit. */
export function findLauncher(): Launcher {
  return found ??= firstThere();
}

/** The words before a command that start it in so many processes on this machine. */
export function launchingWords({ launcher: { program, family }, size }: Launching): string[] {
  const [first, ...words] = launcherWords({ family, size }, program);
  return [first, ...HERE[family](size), ...words];
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
