/** Jinja's filters of texts, and `tojson` as transformers defines it. */
import { indexIn, textIn } from "./builtin.ts";
import { lengthOf, pointsOf, SPACE, splitLines, strip } from "./characters.ts";
import { RenderError, typeError, valueError } from "./errors.ts";
import { escapeHtml } from "./html.ts";
import { toJson } from "./json.ts";
import { percentFormat } from "./percent_format.ts";
import { plain, type Registry } from "./registry.ts";
import { str } from "./repr.ts";
import { capitalize, center, replaceText, textMethod } from "./text_methods.ts";
import { isIterable, iterate, lengthOfValue, truth } from "./containers.ts";
import { Dict, dictEntries, isDict } from "./dict.ts";
import {
  isString,
  lift,
  Markup,
  sequenceOf,
  textOf,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";
import { NO_KEYWORDS } from "./builtin.ts";

const WORD_START = new RegExp(`([-${SPACE}({\\[<]+)`);

/** Unlike `str.title`, begins a word only after white space and brackets. */
function title(value: Value): string {
  return str(value).split(WORD_START).map((part) => {
    const [first = "", ...rest] = Array.from(part);
    return first.toUpperCase() + rest.join("").toLowerCase();
  }).join("");
}

function indent(value: Value, width: Value = 4, first: Value = false, blank: Value = false): Value {
  const space = isString(width) ? textOf(width) : " ".repeat(Math.max(0, indexIn(width, "width")));
  const lines = splitLines(`${textIn(value, "indent")}\n`);
  let text = lines.map((line, index) => {
    return index > 0 && (truth(blank) || line !== "") ? space + line : line;
  }).join("\n");
  if (truth(first)) text = space + text;
  return value instanceof Markup ? new Markup(text) : text;
}

function truncate(
  value: Value,
  length: Value = 255,
  killWords: Value = false,
  end: Value = "...",
  leeway: Value = 5,
): Value {
  const tail = str(end);
  const limit = indexIn(length, "length"), slack = leeway === null ? 5 : indexIn(leeway, "leeway");
  const room = limit - lengthOf(tail);
  if (room < 0) throw valueError(`expected length >= ${lengthOf(tail)}, got ${limit}`);
  if (slack < 0) throw valueError(`expected leeway >= 0, got ${slack}`);
  if (lengthOfValue(value) <= limit + slack) return value;
  const points = [...pointsOf(textIn(value, "truncate"))];
  const kept = points.slice(0, room).join("");
  if (truth(killWords)) return kept + tail;
  const space = kept.lastIndexOf(" ");
  return (space < 0 ? kept : kept.slice(0, space)) + tail;
}

/** Python's `urllib.parse.quote`; a query writes spaces as `+`. */
function quote(value: Value, query = false): string {
  const safe = query ? /[A-Za-z0-9_.~-]/ : /[A-Za-z0-9_.~/-]/;
  const quoted = Array.from(str(value), (char) => {
    if (safe.test(char)) return char;
    return Array.from(
      new TextEncoder().encode(char),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    ).join("");
  }).join("");
  return query ? quoted.replaceAll("%20", "+") : quoted;
}

function urlEncode(value: Value): string {
  if (isString(value) || !isIterable(value)) return quote(value);
  const pairs = isDict(value) ? dictEntries(value) : iterate(value).map(pairOf);
  return pairs.map(([key, each]) => `${quote(key, true)}=${quote(each, true)}`).join("&");
}

function pairOf(value: Value): readonly Value[] {
  const items = iterate(value);
  if (items.length === 2) return items;
  throw valueError(`expected 2 values to unpack, got ${items.length}`);
}

/** `textwrap.wrap` of each line, as far as white space and hyphens break it. */
function wordWrap(
  value: Value,
  width: Value = 79,
  breakLong: Value = true,
  wrapString: Value = null,
  breakHyphens: Value = true,
): string {
  const limit = indexIn(width, "width"), between = wrapString === null ? "\n" : str(wrapString);
  if (limit <= 0) throw valueError(`invalid width ${limit} (must be > 0)`);
  const hyphens = truth(breakHyphens);
  return splitLines(textIn(value, "wordwrap"))
    .map((line) => wrapLine(line, limit, truth(breakLong), hyphens).join(between))
    .join(between);
}

function wrapLine(line: string, limit: number, breakLong: boolean, hyphens: boolean): string[] {
  const pattern = hyphens
    ? /[\t-\r ]+|[^\t-\r \w]*\w+[^0-9\W]-(?=\w+[^0-9\W])|[^\t-\r ]+?(?=[\t-\r ]|$)|[^\t-\r ]+/g
    : /[\t-\r ]+|[^\t-\r ]+/g;
  const chunks = (line.match(pattern) ?? []).reverse(), lines: string[] = [];
  while (chunks.length > 0) {
    if (lines.length > 0 && /^[\t-\r ]+$/.test(chunks.at(-1)!)) chunks.pop();
    let current = "";
    while (chunks.length > 0 && lengthOf(current + chunks.at(-1)!) <= limit) {
      current += chunks.pop()!;
    }
    if (chunks.length > 0 && lengthOf(chunks.at(-1)!) > limit && (breakLong || current === "")) {
      const long = chunks.pop()!, points = [...pointsOf(long)];
      const room = breakLong ? Math.max(1, limit - lengthOf(current)) : points.length;
      current += points.slice(0, room).join("");
      const rest = points.slice(room).join("");
      if (rest !== "") chunks.push(rest);
    }
    current = current.replace(/[\t-\r ]+$/, "");
    if (current !== "") lines.push(current);
  }
  return lines;
}

function json(
  value: Value,
  ensureAscii: Value = false,
  indentation: Value = null,
  separators: Value = null,
  sortKeys: Value = false,
): string {
  const given = separators === null ? null : sequenceOf(separators)?.map((each) => str(lift(each)));
  if (given !== null && given?.length !== 2) throw valueError("separators must be a pair");
  const step = indentation === null
    ? null
    : isString(indentation)
    ? textOf(indentation)
    : " ".repeat(Math.max(0, indexIn(indentation, "indent")));
  return toJson(value, {
    ensureAscii: truth(ensureAscii),
    indent: step,
    separators: given === null ? [step === null ? ", " : ",", ": "] : [given[0], given[1]],
    sortKeys: truth(sortKeys),
  });
}

function attributesText(value: Value, space: Value = true): string {
  if (!isDict(value)) throw typeError("xmlattr needs a mapping");
  const pairs = dictEntries(value).filter(([, each]) =>
    each !== null && !(each instanceof Undefined)
  );
  const text = pairs.map(([key, each]) => {
    if (/[\s/>=]/.test(textIn(key, "xmlattr"))) {
      throw valueError(`Invalid character in attribute name: ${str(key)}`);
    }
    return `${escapeHtml(key)}="${escapeHtml(each)}"`;
  }).join(" ");
  return text !== "" && truth(space) ? ` ${text}` : text;
}

export const TEXT_FILTERS: Registry = {
  capitalize: plain("s", (value) => capitalize(str(value))),
  center: plain("value width?", (value, width = 80) => {
    return center(str(value), indexIn(width, "width"));
  }),
  e: plain("value", (value) => new Markup(escapeHtml(value))),
  escape: plain("value", (value) => new Markup(escapeHtml(value))),
  forceescape: plain("value", (value) => new Markup(escapeHtml(str(value)))),
  format: ([value, ...args], keywords) => {
    if (args.length > 0 && keywords.size > 0) {
      throw new RenderError(
        "FilterArgumentError",
        "can't handle positional and keyword arguments at the same time",
      );
    }
    return percentFormat(str(value), keywords.size > 0 ? new Dict(keywords) : new Tuple(args), str);
  },
  indent: plain("s width? first? blank?", indent),
  lower: plain("s", (value) => str(value).toLowerCase()),
  replace: plain("s old new count?", (value, old, fresh, count = null) => {
    const limit = count === null ? -1 : indexIn(count, "count");
    return replaceText(str(value), str(old), str(fresh), limit < 0 ? Infinity : limit);
  }),
  safe: plain("value", (value) => new Markup(str(value))),
  string: plain("value", (value) => value instanceof Markup ? value : str(value)),
  striptags: plain("value", (value) => {
    const text = str(value).replace(/<!--[^]*?-->|<[^>]*>/g, "");
    const words = textMethod("split")!(text, [], NO_KEYWORDS) as string[];
    return words.join(" ").replace(/&(amp|lt|gt|quot|#34|#39|#x27);/g, (entity) => NAMED[entity]);
  }),
  title: plain("s", title),
  tojson: plain("x ensure_ascii? indent? separators? sort_keys?", json),
  trim: plain("value chars?", (value, chars = null) => {
    return strip(str(value), chars === null ? null : textIn(chars, "chars"), "both");
  }),
  truncate: plain("s length? killwords? end? leeway?", truncate),
  upper: plain("s", (value) => str(value).toUpperCase()),
  urlencode: plain("value", urlEncode),
  wordcount: plain("s", (value) => str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  wordwrap: plain("s width? break_long_words? wrapstring? break_on_hyphens?", wordWrap),
  xmlattr: plain("d autospace?", attributesText),
};

const NAMED: Record<string, string> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#34;": '"',
  "&#39;": "'",
  "&#x27;": "'",
};
