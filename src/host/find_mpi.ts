/** Finds Open MPI's launcher for the tests of several processes. Has no dependencies, like `setup.ts`. */

/** Debian's own name first: `mpirun` may be another MPI's. */
const PLACES: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: ["/usr/bin/mpirun.openmpi", "/usr/lib64/openmpi/bin/mpirun"],
  darwin: ["/opt/homebrew/bin/mpirun", "/usr/local/bin/mpirun"],
};

/** The program's path; undefined if not found. `root` is prepended to every location. */
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
