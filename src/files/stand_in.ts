/** Recognises what a failed download or a clone leaves in place of a file. */
import { UserError } from "../options/user_error.ts";
import { isLfsPointer, lfsPointerError } from "./lfs_pointer.ts";
import { quoted } from "../text.ts";

/** Bytes from the start of a file that {@link standIn} needs. */
export const HEAD_BYTES = 512;

const MAGIC: readonly [string, string][] = [
  ["PK\x03\x04", "a file of PyTorch, or another zip archive"],
  ["\x80\x02", "a file of PyTorch (a pickle)"],
  ["GGUF", "a GGUF file"],
  ["\x89HDF", "an HDF5 file, as TensorFlow writes them"],
];

/**
 * The error for a file that begins with `head` and is none of its kind, but one of another or the
 * page that a hub sends instead; undefined if nothing is known to be wrong.
 */
export function standIn(path: string, head: Uint8Array): UserError | undefined {
  if (isLfsPointer(head)) return lfsPointerError(path);
  const text = new TextDecoder("latin1").decode(head.subarray(0, HEAD_BYTES));
  if (/^(ï»¿)?\s*<(!doctype html|html|head)\b/i.test(text)) {
    return new UserError(
      `${path}: is a web page (HTML), not the file itself`,
      "download the file again: on the hub its address has /resolve/ where the page's has /blob/",
    );
  }
  const found = MAGIC.find(([magic]) => text.startsWith(magic));
  return found && new UserError(`${path}: is ${found[1]}`, "its name says something else");
}

/** The same for weights, which are no text: quotes what a server answered instead. */
export function notWeights(path: string, head: Uint8Array): UserError | undefined {
  const known = standIn(path, head);
  if (known || head.length === 0 || head.length === HEAD_BYTES) return known;
  const text = new TextDecoder().decode(head);
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0e-\x1f\ufffd]/.test(text)) return undefined;
  return new UserError(
    `${path}: is text, not weights: ${quoted(text.trim().slice(0, 80))}`,
    "download the file again",
  );
}
