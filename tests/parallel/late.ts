/** One of two processes of ranks_test.ts: rank 1 never comes. */
import { launched } from "../../src/parallel/launch.ts";
import { Meeting } from "../../src/parallel/meeting.ts";
import { openMpi } from "../../src/parallel/mpi_library.ts";
import { report } from "./support.ts";

const { family, rank, size } = launched()!, mpi = openMpi(family, size);
if (rank === 1) await new Promise((resolve) => setTimeout(resolve, 60_000));
const said: string[] = [], stopping = new AbortController();
const onWait = (message: string) => {
  said.push(message);
  stopping.abort();
};
const waiting = { onWait, signal: stopping.signal }, times = { noticeMs: 1000, stopMs: 1000 };
const meeting = new Meeting(mpi, rank, size, waiting, times);
const error = await meeting.meet("gather", 1).then(() => "", ({ message }: Error) => message);
report(rank, { said: said[0], error });
