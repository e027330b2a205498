/** Where examples go on that may have become more, or others, since their position was saved. */
import { type Phrase, phrase } from "../../options/phrase.ts";
import { counted } from "../../text.ts";
import { type FileMark, marksOf, type MatchedFiles, matchFiles } from "../file_marks.ts";
import type { DataFile } from "../files.ts";
import { changesOf } from "../resumed_corpus.ts";
import type { Epochs, InstructPlace, Stage } from "./epochs.ts";
import type { ExampleStore } from "./store.ts";

export interface ResumedExamples {
  readonly epoch: number;
  readonly row: number;
  readonly files?: readonly FileMark[];
  readonly before?: readonly Stage[];
  /** Of an epoch that examples have joined. */
  readonly rows?: readonly (readonly number[])[];
  /** Whether the data is not what it was. */
  readonly changed: boolean;
  readonly note?: Phrase;
}

/** The examples by file. */
interface Loaded {
  readonly starts: ReadonlyMap<DataFile, number>;
  readonly store: ExampleStore;
  readonly epochs: Epochs;
}

export async function resumedExamples(
  { starts, store, epochs }: Loaded,
  place: InstructPlace | undefined,
): Promise<ResumedExamples> {
  const files = [...starts.keys()], ends = [...[...starts.values()].slice(1), store.count];
  const examplesIn = (file: DataFile) => {
    const start = starts.get(file)!, end = ends[files.indexOf(file)];
    return Array.from({ length: end - start }, (_, index) => start + index);
  };
  const counts = files.map((file) => examplesIn(file).length);
  const marks = (await marksOf(files)).map((mark, at) => `${mark}.${counts[at]}`);
  const start = { epoch: place?.epoch ?? 0, row: place?.row ?? 0, files: marks };
  if (!place?.files) return { ...start, changed: false };
  const before = place.before ?? [], isSame = String(place.files) === String(marks);
  if (isSame && !before.length) return { ...start, changed: false };
  const stages = isSame ? before : [...before, { files: place.files, row: place.row }];
  // Each stage has the files of the one before: together they are those of the last.
  const matched = matchFiles([place.files], { files, marks });
  if (matched.gone || matched.replaced.length) return anew(matched, start);
  const examples = stages.map(({ files: list, row }) => {
    const [found] = matchFiles([list], { files, marks }).lists;
    return { examples: found.flatMap((file) => examplesIn(file!)), row };
  });
  const rows = epochs.joined(start.epoch, examples);
  if (isSame) return { ...start, before, rows, changed: false };
  const added = matched.added.flatMap(examplesIn).length;
  const read = store.count - new Set(rows.flat()).size;
  return {
    ...start,
    row: 0,
    before: stages,
    rows,
    changed: true,
    note: matched.added.length
      ? phrase`${matched.added.length} of ${files.length} files are new, with ${
        counted(added, "example")
      }: they are mixed in among what is left of this epoch, in which the ${
        counted(read, "example")
      } read so far are not read again`
      : undefined,
  };
}

function anew(
  matched: MatchedFiles,
  start: Pick<ResumedExamples, "epoch" | "row" | "files">,
): ResumedExamples {
  return {
    ...start,
    epoch: start.epoch + 1,
    row: 0,
    changed: true,
    note: phrase`since the run was saved ${changesOf(matched, start.files!.length)}: the epoch that
      was begun ends here, and the next one reads all examples as they are now`,
  };
}
