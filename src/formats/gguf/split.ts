/**
 * Models in several GGUF files, as `llama-gguf-split` writes them: every part knows its number and
 * how many there are, the first has the metadata, and they find each other by name.
 */
import { basename } from "../../packages/std_path.ts";
import { UserError } from "../../options/user_error.ts";
import { ggufParts } from "../../files/gguf_path.ts";
import { isThere } from "../../files/stat.ts";
import { type GgufHeader, readGgufHeader } from "./header.ts";
import type { Metadata } from "./metadata.ts";

/**
 * The headers of all files of a model, given any of them, in order. Throws a {@link UserError} that
 * names parts that are missing or belong to another model.
 */
export async function readGgufHeaders(path: string): Promise<GgufHeader[]> {
  const given = await readGgufHeader(path);
  const { count, number } = positionOf(given.metadata);
  if (count === 1) return [given];
  const paths = ggufParts(path);
  if (paths.length !== count) {
    throw new UserError(
      `${path}: is part ${number} of a model in ${count} files, but not named like one`,
      `its name must end in ${suffix(number, count)}, and the other parts be beside it`,
    );
  }
  const found = await Promise.all(paths.map(isThere));
  const missing = paths.filter((_, at) => !found[at]).map((each) => basename(each));
  if (missing.length > 0) {
    throw new UserError(
      `${path}: of ${count} parts, ${missing.length} missing: ${missing.join(", ")}`,
      "a split model needs all its parts in one folder",
    );
  }
  const headers: GgufHeader[] = [];
  for (const each of paths) headers.push(each === path ? given : await readGgufHeader(each));
  checkParts(headers);
  return headers;
}

/** The metadata of the model that a file belongs to. */
export async function readGgufMetadata(path: string): Promise<Metadata> {
  const [first] = await readGgufHeaders(path);
  return first.metadata;
}

/** A file's place among the parts of its model; the first of one if it is not split. */
function positionOf(metadata: Metadata): { number: number; count: number } {
  const count = metadata.has("split.count") ? metadata.index("split.count") : 1;
  // llama.cpp counts from 0.
  return count <= 1 ? { number: 1, count: 1 } : { number: 1 + metadata.index("split.no"), count };
}

function suffix(number: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, "0");
  return `-${digits(number)}-of-${digits(count)}.gguf`;
}

const FOREIGN = "are all parts of the same model and of the same download?";

function checkParts(headers: readonly GgufHeader[]): void {
  const total = headers[0].metadata, seen = new Map<string, string>();
  for (const [at, { metadata, tensors }] of headers.entries()) {
    const { number, count } = positionOf(metadata);
    if (number !== at + 1 || count !== headers.length) {
      throw new UserError(
        `${metadata.path}: is part ${number} of ${count}, its name says ${at + 1} of ` +
          `${headers.length}`,
        FOREIGN,
      );
    }
    for (const { name } of tensors) {
      const other = seen.get(name);
      if (other !== undefined) {
        throw new UserError(`${metadata.path}: has tensor ${name}, as has ${other}`, FOREIGN);
      }
      seen.set(name, basename(metadata.path));
    }
  }
  if (!total.has("split.tensors.count") || total.index("split.tensors.count") === seen.size) return;
  throw new UserError(
    `${total.path}: its parts have ${seen.size} tensors, the model has ` +
      `${total.index("split.tensors.count")}`,
    FOREIGN,
  );
}
