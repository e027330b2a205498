/** The process that reads all rows of a Parquet file as training does. */
import { parquetRecords } from "../../data/parquet_reader.ts";
import { detectFormat, recordFormat } from "../../data/instruct/record_format.ts";
import { toExample } from "../../data/instruct/records.ts";
import { Faults } from "./faults.ts";
import type { CheckedRows } from "./parquet_rows.ts";

const [path, label, purpose] = Deno.args;
console.log(JSON.stringify(await check()));

async function check(): Promise<CheckedRows> {
  const faults = new Faults();
  let rows = 0, format = purpose === "pretrain" ? recordFormat("text") : undefined;
  try {
    for await (const { value, where, fromTable } of parquetRecords({ path, label })) {
      rows++;
      try {
        format ??= detectFormat(value, where);
        toExample(value, format, where, { fromTable });
      } catch (error) {
        faults.add(error);
      }
    }
  } catch (error) {
    faults.add(error);
  }
  return { rows, ...faults.found };
}
