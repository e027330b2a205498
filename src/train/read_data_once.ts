/** What of a run's data can be read only once is read with progress, before all else needs it. */
import { type Data, dataSources } from "../data/data.ts";
import { readOnce } from "../data/memory_file.ts";
import type { OnPreparation } from "./events.ts";

const PROGRESS_EVERY = 500;

/** Reads it into temporary files. Throws a {@link UserError} if it cannot be read. */
export async function readDataOnce(
  { data, evalData }: { readonly data?: Data; readonly evalData?: Data },
  onPreparation?: OnPreparation,
): Promise<void> {
  const onRead = (count: number) => {
    if (count % PROGRESS_EVERY) return;
    onPreparation?.({ type: "preparation", what: "reading data", count });
  };
  if (data) await readOnce(dataSources(data), onRead);
  if (evalData) await readOnce(dataSources(evalData, "evalData"), onRead);
}
