/** Texts in slices that are split into words alike. */

/** Characters of a slice: the library takes some 40 bytes for each. */
const SLICE = 1 << 20;

/** Where a text may be cut: no word of the split lies across a lone newline. */
const LINE = /(?<=\S)\n(?=\S)/g, SPACE = /(?<=\S) (?=\S)/g;

/**
 * A text in slices of at most a million characters, cut behind lines where possible, else before
 * words, else between characters.
 */
export function* slicesOf(text: string, size = SLICE): Generator<string> {
  let start = 0;
  while (text.length - start > size) {
    const end = start + cutOf(text.slice(start, start + size + 1));
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

/** Where to cut a window that ends a character behind the longest slice. */
function cutOf(window: string): number {
  const size = window.length - 1;
  const line = lastIndexOf(window, LINE);
  if (line >= 0) return line + 1;
  const space = lastIndexOf(window, SPACE);
  if (space > 0) return space;
  const halves = /[\ud800-\udbff]/.test(window[size - 1]) && size > 1;
  return halves ? size - 1 : size;
}

function lastIndexOf(text: string, pattern: RegExp): number {
  let last = -1;
  for (const { index } of text.matchAll(pattern)) last = index;
  return last;
}
