/**
 * Tokens that are declared beside tokenizer.json: in tokenizer_config.json, added_tokens.json or
 * special_tokens_map.json. The rules are those of transformers 5 (`TokenizersBackend`).
 */
import { isObject } from "../files/fields.ts";
import type { AddedToken } from "./engine.ts";

type Json = Record<string, unknown>;

/** The files as parsed; empty where there is none. */
export interface Declarations {
  readonly tokenizer: Json;
  readonly config: Json;
  /** special_tokens_map.json */
  readonly map: Json;
  /** added_tokens.json: ids by token. */
  readonly added: Json;
}

const NAMED = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** Names of special tokens: transformers 4's map counts only where the newer list is missing. */
export function declaredNames({ config, map }: Declarations): Json {
  return isObject(config.added_tokens_decoder) ? config : { ...config, ...map };
}

/** The tokens of tokenizer.json's `added_tokens`, and those that the other files list. */
export function listedTokens(
  declarations: Declarations,
): { own: AddedToken[]; others: AddedToken[] } {
  const { tokenizer, config, added } = declarations;
  const list = Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens.filter(isObject) : [];
  const own = list.map(addedToken);
  const byId = (entries: [id: unknown, token: Json][]) =>
    entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, token]) => addedToken(token));
  if (isObject(config.added_tokens_decoder)) {
    const entries = Object.entries(config.added_tokens_decoder);
    return { own, others: byId(entries.map(([id, token]) => [id, token as Json])) };
  }
  const taken = new Set(list.map(({ id }) => id));
  const special = new Set(specialTokens(declaredNames(declarations)).map(contentOf));
  const entries = Object.entries(added).filter(([, id]) => !taken.has(id));
  return {
    own,
    others: byId(entries.map(([content, id]) => [id, { content, special: special.has(content) }])),
  };
}

/** What tokenizer.json lacks, in the order in which the tokens get their ids. */
export function tokensToAdd(declarations: Declarations): AddedToken[] {
  const names = declaredNames(declarations), { own, others } = listedTokens(declarations);
  const known = new Set(own.map((token) => JSON.stringify(token)));
  const wanted = others.filter((token) => !known.has(JSON.stringify(token)));
  const present = new Set([...own, ...wanted].map(({ content }) => content));
  for (const token of specialTokens(names)) {
    const content = contentOf(token)!;
    if (present.has(content)) continue;
    present.add(content);
    wanted.push(addedToken({ special: true, ...(isObject(token) ? token : { content }) }));
  }
  const named = new Set(NAMED.map((name) => contentOf(names[name])));
  return wanted.map((token) => named.has(token.content) ? { ...token, special: true } : token);
}

/** The named ones first, then a model's own, as strings or objects with options. */
function specialTokens(names: Json): unknown[] {
  const own = Object.keys(names).filter((key) => key.endsWith("_token") && !NAMED.includes(key));
  const extra = names.extra_special_tokens ?? names.additional_special_tokens ?? [];
  const tokens = [...NAMED, ...own].map((name) => names[name]);
  return [...tokens, ...Object.values(extra as Json)].filter((token) => contentOf(token) !== null);
}

/** Named tokens that no tokenizer needs to have: `sep_token`, or a model's own such as `image_token`. */
export function furtherTokens(names: Json): Record<string, string> {
  const extra = isObject(names.extra_special_tokens) ? names.extra_special_tokens : {};
  const tokens = Object.entries({ ...names, ...extra })
    .filter(([name]) => name in extra || (name.endsWith("_token") && !COMMON.includes(name)))
    .map(([name, token]) => [name, contentOf(token)]);
  return Object.fromEntries(tokens.filter(([, content]) => content !== null));
}

const COMMON = ["bos_token", "eos_token", "unk_token", "pad_token"];

/** A token's text: it is declared as a string, or as an object with options. */
export function contentOf(token: unknown): string | null {
  const content = isObject(token) ? token.content : token;
  return typeof content === "string" ? content : null;
}

/** With the options in the order of tokenizer.json, and transformers' defaults. */
function addedToken(token: Json): AddedToken {
  const special = token.special === true;
  const { normalized = !special } = token;
  return {
    content: String(token.content),
    single_word: token.single_word === true,
    lstrip: token.lstrip === true,
    rstrip: token.rstrip === true,
    normalized: normalized === true,
    special,
  };
}
