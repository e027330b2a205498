/** Names that the server gives. Nothing that a client sends ever becomes a part of a path. */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

export type IdPrefix =
  | "file"
  | "ftjob"
  | "ptjob"
  | "ftckpt"
  | "key"
  | "chatcmpl"
  | "cmpl";

/** `prefix-` and 24 letters and digits, 142 bits by the machine's random numbers. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}-${randomLetters(24)}`;
}

/** Each of 62 letters is as likely as any other. */
export function randomLetters(count: number): string {
  let letters = "";
  while (letters.length < count) {
    for (const byte of crypto.getRandomValues(new Uint8Array(count))) {
      // 248 is a multiple of 62: the rest would favour the first letters.
      if (byte < 248 && letters.length < count) letters += LETTERS[byte % 62];
    }
  }
  return letters;
}
