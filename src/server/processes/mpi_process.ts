/** Whether a process of a job could open MPI's library: its exit code says so. */
import type { MpiFamily } from "../../parallel/launch.ts";
import { openLibrary } from "../../parallel/mpi_library.ts";
import { isProgram, programArguments } from "./own_program.ts";

if (isProgram(import.meta)) {
  const [family] = programArguments();
  openLibrary(family as MpiFamily);
}
