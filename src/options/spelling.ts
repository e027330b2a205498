/** How each front end spells options. */
import { kebabCase, quoted, shortened, snakeCase } from "../text.ts";
import type { OptionReference, Spelling } from "./phrase.ts";

/** Characters of a value: it may be there to be copied. */
const LONGEST_VALUE = 1000;

/** The library: `seqLen`, `seqLen: 512`. */
export const PROPERTIES: Spelling = {
  one: ({ option, value }) =>
    value === undefined ? option : `${option}: ${quoted(value, LONGEST_VALUE)}`,
  between: ", ",
};

/** The server's requests: `seq_len`, `seq_len: 512`. */
export const FIELDS: Spelling = {
  one: ({ option, value }) => PROPERTIES.one({ option: snakeCase(option), value }),
  between: ", ",
};

/** The command line: `--seq-len`, `--seq-len 512`, `--no-packing`. */
export const FLAGS: Spelling = {
  one({ option, value }: OptionReference): string {
    const name = kebabCase(option);
    if (value === undefined || value === true) return `--${name}`;
    if (value === false) return `--no-${name}`;
    const words = [value].flat().map(shellWord).join(" ");
    return `--${name} ${shortened(words, LONGEST_VALUE)}`;
  },
  between: " ",
};

/** Quoted if a shell would split or interpret it. */
function shellWord(value: unknown): string {
  const word = String(value);
  return /^[^\s"'\\$`<>|&;()*?!#[\]{}]+$/.test(word) ? word : JSON.stringify(word);
}
