/** How MPI's launcher is told to start the processes of a job that trains in several. */
import { launcherWords, type MpiFamily } from "../../parallel/launch.ts";

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

/** The words before a command that start it in so many processes on this machine. */
export function launchingWords({ launcher: { program, family }, size }: Launching): string[] {
  const [first, ...words] = launcherWords({ family, size }, program);
  return [first, ...HERE[family](size), ...words];
}
