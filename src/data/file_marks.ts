/** Marks of files, by which a resumed run tells those that it has been trained on from others. */
import { createHash } from "node:crypto";
import type { DataFile } from "./files.ts";

/** Some thirty characters: the name, hashed, the size, and the content. */
export type FileMark = string;

/** The mark of each file. */
export async function marksOf(files: readonly DataFile[]): Promise<FileMark[]> {
  const marks: FileMark[] = [];
  for (const { name, size, sampled } of files) {
    marks.push(`${hashed(name)}.${size}.${await sampled!()}`);
  }
  return marks;
}

/** The files of earlier lists among those that are there now. */
export interface MatchedFiles {
  /** Those of each list, in its order; undefined for a file that is gone or has other content. */
  readonly lists: readonly (readonly (DataFile | undefined)[])[];
  /** Those of none, in the order in which they are now. */
  readonly added: readonly DataFile[];
  /** Of the added ones, those whose name an earlier file had. */
  readonly replaced: readonly DataFile[];
  /** Earlier files that are neither there nor replaced. */
  readonly gone: number;
}

/** Several files may be alike: each is matched once. */
export function matchFiles(
  lists: readonly (readonly FileMark[])[],
  { files, marks }: { readonly files: readonly DataFile[]; readonly marks: readonly FileMark[] },
): MatchedFiles {
  const left = new Map<FileMark, DataFile[]>();
  files.forEach((file, at) => left.set(marks[at], [...left.get(marks[at]) ?? [], file]));
  const lost: string[] = [];
  const found = lists.map((list) =>
    list.map((mark) => {
      const file = left.get(mark)?.shift();
      if (!file) lost.push(nameIn(mark));
      return file;
    })
  );
  const unmatched = new Set([...left.values()].flat());
  const added = files.filter((file) => unmatched.has(file));
  const replaced = added.filter(({ name }) => lost.includes(hashed(name)));
  return { lists: found, added, replaced, gone: lost.length - replaced.length };
}

function hashed(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 8);
}

function nameIn(mark: FileMark): string {
  return mark.slice(0, mark.indexOf("."));
}
