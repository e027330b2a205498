/**
 * Where a corpus goes on that may have changed since its position was saved. What was read stays
 * read: files that are new join what is left of the pass, behind the rows that are shuffled at the
 * moment. Where an earlier file is gone or has other content, the pass that was begun cannot be read
 * on, and the next one begins, over all files as they are now.
 */
import { counted } from "../text.ts";
import { type Phrase, phrase } from "../options/phrase.ts";
import { CorpusOrder, isJoined, type JoinedPlace, type Strand } from "./corpus_order.ts";
import { type FileMark, type MatchedFiles, matchFiles } from "./file_marks.ts";
import type { DataFile } from "./files.ts";
import type { PieceOrder } from "./piece_order.ts";
import type { SequenceReader } from "./sequences.ts";
import type { ShufflePlace } from "./shuffle.ts";
import type { Corpus } from "./sources.ts";

export interface ResumedCorpus {
  readonly order: CorpusOrder;
  readonly place?: ShufflePlace;
  /** Lets the reader go on with the new files, once the rows in progress are read. */
  readonly join?: (reader: SequenceReader) => Promise<void>;
  /** What to tell, when they have joined. */
  readonly note?: (reader: SequenceReader) => Phrase;
}

/** How orders over some of the files are made; strands are numbered from 0. */
export interface OrderOptions {
  readonly seed: number;
  /** Whether documents are mixed over all files. */
  readonly mixes: boolean;
  readonly orderOf: (corpus: Corpus, strand: number) => Promise<PieceOrder>;
}

/** `marks` are those of the corpus's files. */
export async function resumedCorpus(
  { corpus, marks }: { readonly corpus: Corpus; readonly marks: readonly FileMark[] },
  options: OrderOptions,
  place?: ShufflePlace,
): Promise<ResumedCorpus> {
  const whole = { order: await options.orderOf(corpus, 0), marks };
  const ordered = (strands: readonly Strand[]) => new CorpusOrder(whole, strands, options);
  const saved = place?.start.files;
  if (!place || !saved) return { order: ordered([]), place };
  const matched = matchFiles(saved, { files: corpus.files, marks });
  const { added, gone, replaced } = matched;
  if (gone || replaced.length) {
    return {
      order: ordered([]),
      place: nextPass(place, whole.order),
      note: () => anew(matched, corpus),
    };
  }
  const strandOf = async (files: readonly DataFile[], index: number): Promise<Strand> => ({
    order: await options.orderOf(corpus.only(files), index),
    marks: files.map((file) => marks[corpus.files.indexOf(file)]),
  });
  const strands = await Promise.all(
    matched.lists.map((files, index) => strandOf(files as DataFile[], index)),
  );
  // Of the same files in the same order nothing is to be joined.
  if (!added.length && saved.length === 1 && String(saved[0]) === String(marks)) {
    return { order: ordered([]), place };
  }
  const start = { ...place.start, at: joinedPlace(place.start) };
  const order = ordered(strands), begun = { ...place, start };
  if (!added.length) return { order, place: begun };
  const grown = ordered([...strands, await strandOf(added, strands.length)]);
  return {
    order,
    place: begun,
    join: (reader) => reader.follow(grown, (at) => grown.adopt(at as JoinedPlace)),
    note: (reader) => joined(added.length, corpus, { reader, mixes: options.mixes }),
  };
}

/** The first block of the pass after the one in progress. */
function nextPass({ block, start }: ShufflePlace, { start: at }: PieceOrder): ShufflePlace {
  const { pass, pending } = start;
  return { block: block + 1, given: 0, start: { pass: pass + 1, at, consumed: 0, pending } };
}

/** The place in a pass as that of a single strand. */
function joinedPlace({ at, read }: ShufflePlace["start"]): JoinedPlace {
  return isJoined(at) ? at : { strands: [{ at, read: read?.characters ?? 0 }], of: 0, drawn: 0 };
}

function joined(
  added: number,
  { files }: Corpus,
  { reader, mixes }: { readonly reader: SequenceReader; readonly mixes: boolean },
): Phrase {
  const { read, at } = reader.place(), are = `${added} of ${files.length} files are new`;
  // The rows that were shuffled when the run was saved were the last ones of the epoch.
  if (!isJoined(at)) return phrase`${are}: they are read from the next epoch on`;
  const so = mixes ? "are mixed in among" : "come behind";
  const before = read?.documents
    ? `, in which ${counted(read.documents, "document")} read so far are not read again`
    : "";
  return phrase`${are}: they ${so} what is left of this epoch${before}`;
}

/** What has changed, where not only files were added. */
export function changesOf({ added, replaced, gone }: MatchedFiles, files: number): string {
  const more = replaced.length > 1 ? ", …" : "", news = added.length - replaced.length;
  return [
    ...replaced.length
      ? [`${replaced.length} of ${files} files have other content (${replaced[0].path}${more})`]
      : [],
    ...news ? [`${news} are new`] : [],
    ...gone ? [`${gone} are gone`] : [],
  ].join(", ");
}

function anew(matched: MatchedFiles, { files }: Corpus): Phrase {
  return phrase`since the run was saved ${
    changesOf(matched, files.length)
  }: the epoch that was begun
    ends here, and the next one reads all ${counted(files.length, "file")} as they are now`;
}
