/** The manifest beside a checkpoint's bytes, checked before and while they are read. */
import { createHash } from "node:crypto";
import { UserError } from "../../options/user_error.ts";
import type { Checksum } from "./checksum.ts";

/**
 * Incremented whenever a reader of the old layout would misread the new one. All earlier ones can be
 * read: 1 had SHA-256 in place of CRC-32, 2 eight bytes of constants for a group in place of four.
 */
export const FORMAT = 3;
export const MANIFEST_FILE = "manifest.json";
export const ENTRIES_FILE = "entries.bin";

/** A range of `entries.bin`. */
export type EntryRecord = Checksum & {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
};

export interface Manifest {
  readonly format: number;
  readonly step: number;
  /** Bytes of `entries.bin`. */
  readonly bytes: number;
  readonly entries: readonly EntryRecord[];
  /** The non-tensor part of a run's state, as its owner defines it. */
  readonly state: unknown;
}

/** A checkpoint that is incomplete or damaged. */
export class CheckpointError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "CheckpointError";
}

/**
 * The manifest as text, with its own checksum: a flipped bit in the state could still be valid
 * JSON.
 */
export function formatManifest(manifest: Manifest): string {
  return JSON.stringify({ ...manifest, sha256: digest(manifest) }, null, 1) + "\n";
}

/** Throws a {@link CheckpointError} that names the file and what is wrong with it. */
export function parseManifest(text: string, path: string): Manifest {
  let parsed: Manifest & { sha256: string };
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`checkpoint: ${path} is not JSON: ${(error as Error).message}`);
  }
  const { sha256, ...manifest } = parsed;
  if (!(manifest.format >= 1 && manifest.format <= FORMAT)) {
    throw new CheckpointError(
      `checkpoint: ${path} has format ${manifest.format}, expected at most ${FORMAT}`,
      "it was written by another version of this program",
    );
  }
  const actual = digest(manifest);
  if (actual !== sha256) {
    throw new CheckpointError(`checkpoint: ${path} has SHA-256 ${actual}, expected ${sha256}`);
  }
  return manifest;
}

function digest(manifest: Manifest): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
}
