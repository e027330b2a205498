/** One of two processes of ranks_test.ts: rank 1 never comes. */
import { launched } from "../../src/parallel/launch.ts";
import { Meeting } from "../../src/parallel/meeting.ts";
import { OtherRankError } from "../../src/parallel/other_rank_error.ts";
import { openMpi } from "../../src/parallel/mpi_library.ts";
import { report } from "./support.ts";

const { family, rank, size } = launched()!, mpi = openMpi(family, size);
if (rank === 1) await new Promise((resolve) => setTimeout(resolve, 60_000));
const said: unknown[] = [], stopping = new AbortController();
const onWait = (message: string, missing: readonly number[]) => {
  said.push(message, missing);
  stopping.abort();
};
const waiting = { onWait, signal: stopping.signal }, times = { noticeMs: 1000, stopMs: 1000 };
const meeting = new Meeting(mpi, rank, size, waiting, times);
const error: Error = await meeting.meet("gather", 1).then(() => undefined, (error) => error);
const isOthers = error instanceof OtherRankError;
report(rank, { said: said.slice(0, 2), error: error.message, isOthers });
