/** Git LFS's pointers: what a clone without LFS has in place of its large files. */
import { UserError } from "../options/user_error.ts";

/** The first line of every pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const FIRST_LINE = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1");

/** Whether a file that begins with `head` is a pointer. */
export function isLfsPointer(head: Uint8Array): boolean {
  return head.length >= FIRST_LINE.length && FIRST_LINE.every((byte, at) => head[at] === byte);
}

/** The error for a pointer at `path`. */
export function lfsPointerError(path: string): UserError {
  return new UserError(
    `${path}: is a Git LFS pointer, not the file itself`,
    "run git lfs pull in its folder",
  );
}
