/** MPI's launcher, as far as it may be run. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { existsSync } from "node:fs";
import { findMpirun, LAUNCHERS } from "../../../src/host/find_mpi.ts";
import { denoProcess } from "../../../src/server/processes/deno_process.ts";
import { libraryPlaces } from "../../../src/parallel/mpi_library.ts";
import {
  type Launcher,
  LAUNCHER_ENVIRONMENT,
  launchingWords,
} from "../../../src/server/processes/launcher.ts";
import { mpiTest } from "../../parallel/support.ts";

const PROGRAM = fromFileUrl(import.meta.resolve("./find_launcher.ts"));

async function found(programs: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check"],
      `--allow-run=${[Deno.execPath(), programs]}`,
      PROGRAM,
      ...args,
    ],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("without a launcher, or the permission to run it, it is said what to do", async () => {
  assertMatch(
    await found("elsewhere"),
    /^MPI's launcher .*, and it may not be run: add --allow-run=".*deno.*,mpirun" \(if there is none, install Open MPI: /,
  );
});

mpiTest("the machine's launcher is found where it may be run", async () => {
  assertMatch(await found("mpirun"), /^mpirun (openmpi|mpich)$/);
  const mpirun = findMpirun()!;
  assertEquals(await found(mpirun), `${mpirun} openmpi`);
  assertMatch(
    await found(mpirun, "without a library"),
    /mpirun\S* would start .*, which find its library in none of \/.*: install Open MPI: [^\n]*$/,
  );
});

mpiTest("the library is opened where that is allowed", async () => {
  const program = import.meta.resolve("../../../src/server/processes/mpi_process.ts");
  const opens = async (ffi: readonly string[]) => {
    const { success, stderr } = await denoProcess(program, { ffi }, { args: ["openmpi"] }).output();
    return [success, new TextDecoder().decode(stderr)] as const;
  };
  const places = libraryPlaces("openmpi");
  assertEquals((await opens(places))[0], true);
  const [elsewhere, error] = await opens(places.map((path) => `${path}.missing`));
  assertEquals(elsewhere, false);
  assertMatch(error, /it may not open the library/);
});

/** An allocation of Slurm's, of machines that there are not. */
const ALLOCATION = {
  SLURM_JOBID: "7",
  SLURM_JOB_ID: "7",
  SLURM_NODELIST: "elsewhere,other",
  SLURM_JOB_NODELIST: "elsewhere,other",
  SLURM_TASKS_PER_NODE: "2(x2)",
  SLURM_NNODES: "2",
};

async function hostsOf(launcher: Launcher, surroundings: Record<string, string>) {
  const [program, ...args] = launchingWords({ launcher, size: 2 });
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args, "hostname"],
    env: { ...surroundings, ...LAUNCHER_ENVIRONMENT },
  }).output();
  const [hosts, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, error], [0, ""]);
  return hosts.trim().split("\n");
}

mpiTest("processes stay on this machine, whatever hosts its surroundings name", async () => {
  const hosts = await Deno.makeTempFile();
  await Deno.writeTextFile(hosts, "elsewhere.invalid\n");
  const surroundings = [ALLOCATION, {
    OMPI_MCA_orte_default_hostfile: hosts,
    PRTE_MCA_prte_default_hostfile: hosts,
    HYDRA_HOST_FILE: hosts,
  }];
  try {
    for (const { program, family } of launchers()) {
      for (const each of surroundings) {
        assertEquals(await hostsOf({ program, family }, each), Array(2).fill(Deno.hostname()));
      }
    }
  } finally {
    await Deno.remove(hosts);
  }
});

/** Open MPI's, and MPICH's where that is there too. */
function launchers(): Launcher[] {
  const mpich = LAUNCHERS.at(-1)!, isThere = existsSync(mpich);
  return [
    { program: findMpirun()!, family: "openmpi" },
    ...isThere ? [{ program: mpich, family: "mpich" } as const] : [],
  ];
}
