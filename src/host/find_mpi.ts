/** Finds MPI's launcher. Has no dependencies, like `setup.ts`. */

/** Debian's own name first: `mpirun` may be another MPI's. */
const PLACES: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: ["/usr/bin/mpirun.openmpi", "/usr/lib64/openmpi/bin/mpirun"],
  darwin: ["/opt/homebrew/bin/mpirun", "/usr/local/bin/mpirun"],
};

/** What may start several processes, whosever it is: the machine's own choice first. */
export const LAUNCHERS: readonly string[] = [
  "mpirun",
  ...PLACES[Deno.build.os] ?? [],
  "/usr/bin/mpirun.mpich",
];

/** Open MPI's, for the tests of several processes: its path; undefined if not found. `root` is prepended to every location. */
export function findMpirun(root = ""): string | undefined {
  return PLACES[Deno.build.os]?.map((place) => root + place).find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
