/** MPI's launcher, as far as it may be run. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { findMpirun } from "../../../src/host/find_mpi.ts";
import { launchingWords } from "../../../src/server/processes/launcher.ts";
import { mpiTest } from "../../parallel/support.ts";

const PROGRAM = fromFileUrl(import.meta.resolve("./find_launcher.ts"));

async function found(permission: string): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", permission, PROGRAM],
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("without a launcher, or the permission to run it, it is said what to do", async () => {
  assertMatch(
    await found(`--allow-run=${Deno.execPath()}`),
    /^MPI's launcher .*, and it may not be run: add --allow-run=".*deno.*,mpirun" \(if there is none, install Open MPI: /,
  );
});

mpiTest("the machine's launcher is found where it may be run", async () => {
  assertMatch(await found("--allow-run=mpirun"), /^mpirun (openmpi|mpich)$/);
  const mpirun = findMpirun()!;
  assertEquals(await found(`--allow-run=${mpirun}`), `${mpirun} openmpi`);
});

Deno.test("Open MPI's launcher is told what MPICH's does by itself", () => {
  const words = (family: "openmpi" | "mpich") =>
    launchingWords({ launcher: { program: "/bin/mpirun", family }, size: 3 }).join(" ");
  assertEquals(words("openmpi"), "/bin/mpirun --oversubscribe --bind-to none -n 3");
  assertEquals(words("mpich"), "/bin/mpirun -n 3");
});
