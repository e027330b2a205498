/** Whether this process is one of several that an MPI launcher started, by its environment. */

/** Two families, whose libraries differ in their handles; Intel's MPI and Cray's are of MPICH's. */
export type MpiFamily = "openmpi" | "mpich";

/** What a launcher has told this process. */
export interface Launch {
  readonly family: MpiFamily;
  /** From 0. */
  readonly rank: number;
  /** Processes. */
  readonly size: number;
  /** The variable of the environment that says how many. */
  readonly variable: string;
}

/** The variables that say so, with the number of processes first. */
const VARIABLES: readonly (readonly [MpiFamily, size: string, rank: string])[] = [
  ["openmpi", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"],
  ["mpich", "PMI_SIZE", "PMI_RANK"],
];

/** What {@link launched} reads. */
export const LAUNCH_VARIABLES: readonly string[] = VARIABLES.flatMap(([, ...names]) => names);

/** Undefined of a process that runs by itself, and where the environment may not be read. */
export function launched(
  read: (name: string) => string | undefined = variable,
): Launch | undefined {
  for (const [family, variable, rank] of VARIABLES) {
    const [size, own] = [variable, rank].map((name) => Number(read(name) ?? NaN));
    if (size > 1 && own >= 0 && own < size) return { family, rank: own, size, variable };
  }
}

/** Of a process that a launcher started with others: which of its machine's it is, from 0. */
export function placeOnMachine(
  read: (name: string) => string | undefined = variable,
): number | undefined {
  if (!launched(read)) return undefined;
  const place = Number(read("OMPI_COMM_WORLD_LOCAL_RANK") ?? read("MPI_LOCALRANKID") ?? NaN);
  return place >= 0 ? place : undefined;
}

/**
 * Whether the launcher gives processes the time to save what they have: Open MPI's only if it is told
 * to, as it passes on in this variable.
 */
export function launcherWaits(): boolean {
  return variable("OMPI_COMM_WORLD_SIZE") === undefined ||
    Number(variable("OMPI_MCA_odls_base_sigkill_timeout") ?? 1) > 1;
}

/** The words before a command that start it in so many processes. */
export function launcherWords(
  { family, size }: Pick<Launch, "family" | "size">,
  program = "mpirun",
): string[] {
  // Open MPI would bind each process to one core of the processor.
  return [program, ...family === "openmpi" ? ["--bind-to", "none"] : [], "-n", `${size}`];
}

/** As far as it may be read. */
export function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
