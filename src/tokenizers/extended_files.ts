/** Files of a tokenizer with tokens added as special ones, for AutoTokenizer and every other reader. */
import { isObject } from "../files/fields.ts";
import { TOKENIZER_CONFIG, TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import type { AddedToken } from "./engine.ts";

type Json = Record<string, unknown>;
type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** A token with the id that the library gives it. */
export type NumberedToken = AddedToken & { readonly id: number };

/** The special token that a text becomes, with the options that transformers gives it. */
export function specialToken(content: string): AddedToken {
  return {
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
}

/**
 * Lists tokens where readers look for them: in tokenizer.json all of them, with their ids, which
 * must be those that follow its own; in lists of special tokens the `fresh` ones.
 */
export function extendedFiles(
  files: Files,
  listed: readonly NumberedToken[],
  fresh: readonly NumberedToken[],
): Map<string, Uint8Array<ArrayBuffer>> {
  const result = new Map(files);
  const edit = (name: string, change: (json: Json) => Json) => {
    const bytes = files.get(name);
    if (!bytes) return;
    const json = JSON.parse(new TextDecoder().decode(bytes)) as Json;
    result.set(name, new TextEncoder().encode(JSON.stringify(change(json), null, 2) + "\n"));
  };
  const contents = fresh.map(({ content }) => content);
  edit(TOKENIZER_JSON, (json) => ({ ...json, added_tokens: merged(json.added_tokens, listed) }));
  edit(TOKENIZER_CONFIG, (json) => ({
    ...withSpecial(json, contents),
    ...(isObject(json.added_tokens_decoder) && {
      added_tokens_decoder: {
        ...json.added_tokens_decoder,
        ...Object.fromEntries(fresh.map(({ id, ...token }) => [id, token])),
      },
    }),
  }));
  edit("special_tokens_map.json", (json) => withSpecial(json, contents));
  edit("added_tokens.json", (json) => ({
    ...json,
    ...Object.fromEntries(fresh.map(({ content, id }) => [content, id])),
  }));
  return result;
}

/** Both lists by id; a token listed before gets its new options. */
function merged(own: unknown, listed: readonly NumberedToken[]): Json[] {
  const ids = new Set(listed.map(({ id }) => id));
  const kept = Array.isArray(own)
    ? own.filter(isObject).filter(({ id }) => !ids.has(Number(id)))
    : [];
  return [...kept, ...listed.map(({ id, ...token }) => ({ id, ...token }))]
    .sort((a, b) => Number(a.id) - Number(b.id));
}

/** Appends to the list of special tokens, under transformers 5's name or 4's. */
function withSpecial(json: Json, contents: readonly string[]): Json {
  const name = Array.isArray(json.extra_special_tokens)
    ? "extra_special_tokens"
    : "additional_special_tokens";
  const own = Array.isArray(json[name]) ? json[name] : [];
  const known = own.map((token) => isObject(token) ? token.content : token);
  return { ...json, [name]: [...own, ...contents.filter((each) => !known.includes(each))] };
}
