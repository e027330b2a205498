/** Parquet: a row is a document; one column of one row group is in memory at a time. */
import { type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FileRange } from "../formats/file_range.ts";
import { UserError } from "../gpu/errors.ts";
import { type Piece, type Place, type ReaderOptions, textOf, unreadable } from "./documents.ts";

export async function* readParquet(
  path: string,
  from: Place,
  { textField }: ReaderOptions,
): AsyncGenerator<Piece> {
  const opened = await FileRange.open(path).catch((error) => {
    throw unreadable(path, error);
  });
  let where = path;
  try {
    const file = {
      byteLength: opened.size,
      slice: async (start: number, end = opened.size) => (await opened.read(start, end)).buffer,
    };
    const metadata = await parquetMetadataAsync(file);
    assertColumn(metadata, textField, path);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (rowEnd > from.record) {
        where = `${path}, rows ${rowStart + 1} to ${rowEnd}`;
        const columns = [textField];
        const range = { rowStart: Math.max(rowStart, from.record), rowEnd };
        const rows = await parquetReadObjects({ file, metadata, columns, compressors, ...range });
        for (const [index, row] of rows.entries()) {
          const record = range.rowStart + index;
          const where = `${path}, row ${record + 1}`;
          const text = textOf(row, textField, where);
          yield { text, first: true, last: true, where, place: { offset: 0, record } };
        }
      }
      rowStart = rowEnd;
    }
  } catch (error) {
    throw unreadable(where, error);
  } finally {
    opened.close();
  }
}

/** The first element of the schema is its root; a column of plain values has no children. */
function assertColumn({ schema }: FileMetaData, name: string, path: string): void {
  const columns = schema.slice(1).map((element) => element.name);
  if (columns.includes(name)) return;
  throw new UserError(
    `${path}: has no field "${name}"`,
    `it has ${columns.join(", ")}; see --text-field`,
  );
}
