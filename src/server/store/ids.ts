/** Ids assigned by the server. Nothing that a client sends ever becomes part of a path. */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

export type IdPrefix =
  | "file"
  | "ftjob"
  | "ptjob"
  | "ftckpt"
  | "key"
  | "lease"
  | "chatcmpl"
  | "cmpl";

/** `prefix-` and 24 letters and digits: 142 bits from the system's random generator. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}-${randomLetters(24)}`;
}

/** Each of 62 characters is equally likely. */
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
