/** The ranks that this process belongs to. */
import { launched } from "./launch.ts";
import type { WhileWaiting } from "./meeting.ts";
import { openMpi } from "./mpi_library.ts";
import { MpiRanks } from "./mpi_ranks.ts";
import { ALONE, type Ranks } from "./ranks.ts";

let opened: Ranks | undefined;

/**
 * Where an MPI launcher (`mpirun -n 4 deno run …`) started this process with others: all of them,
 * through the launcher's library, which is opened once and needs Deno's permission for it; blocks
 * until all of them have come. Otherwise this process alone, and nothing is opened. `waiting` is of the
 * first call. Throws a {@link UserError} if the library is missing.
 */
export function openRanks(waiting: WhileWaiting = {}): Ranks {
  if (opened) return opened;
  const launch = launched();
  if (!launch) return ALONE;
  const { family, rank, size } = launch;
  return opened = new MpiRanks(openMpi(family, size), rank, size, waiting);
}
