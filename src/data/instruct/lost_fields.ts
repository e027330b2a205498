/**
 * Finds what of a dialogue its template does not write.
 *
 * Every text that carries meaning is rendered once more with a mark in its middle. If the result
 * without the marks is the dialogue's text, then a missing mark is a text that is not written. A
 * template that compares or measures texts may print something else because of the marks; then each
 * kind of text is marked alone, and one that makes no difference to the output is lost.
 */
import { entriesOf, type JsonObject, objectOf } from "../../files/json_value.ts";
import type { ChatTemplate } from "./chat_template.ts";
import type { ChatExample, Message } from "./example.ts";
import type { FindingKind } from "./findings.ts";

/** Finds losses by rendering with one template, and remembers which fields it reads. */
export class LossCheck {
  /** Further fields of messages, and whether the template writes them. */
  readonly #written = new Map<string, boolean>();

  constructor(private readonly template: ChatTemplate) {}

  /** The kinds of what `text`, the rendered dialogue, lacks. */
  lostIn(example: ChatExample, text: string): FindingKind[] {
    const kinds = new Set(
      this.#lostTexts(example, text).map((item) => this.#kindOf(item, example)),
    );
    if (kinds.has("lostTools")) kinds.delete("lostToolDetails");
    return [...kinds];
  }

  /** Further fields of messages that the template does not write. */
  ignoredIn(example: ChatExample): string[] {
    const names = new Set(example.messages.flatMap((message) => Object.keys(message)));
    return [...names].filter((name) => !KNOWN.includes(name) && !this.#writes(name, example));
  }

  #writes(name: string, example: ChatExample): boolean {
    let written = this.#written.get(name);
    if (written === undefined) {
      const messages = example.messages.map(({ [name]: _, ...rest }) => rest as unknown as Message);
      written = this.#render(example) !== this.#render({ ...example, messages });
      this.#written.set(name, written);
    }
    return written;
  }

  #lostTexts(example: ChatExample, text: string): Item[] {
    const all = new Marks(() => true), marked = this.#render(all.mark(example));
    if (all.items.length === 0) return [];
    const stripped = marked?.replace(MARK, "");
    const plain = stripped === text ? text : this.#render(example);
    const lost = marked !== undefined && stripped === plain
      ? missing(all.items, marked)
      : [...new Set(all.items.map(({ sort }) => sort))]
        .flatMap((sort) => this.#lostOf(sort, example, plain));
    // Thoughts that the template removes may be put back.
    return text === plain ? lost : lost.filter((item) => !isThoughtIn(item, text));
  }

  /** The first text of a sort that can be changed without effect, if there is one. */
  #lostOf(sort: Sort, example: ChatExample, plain: string | undefined): Item[] {
    const some = new Marks((item) => item.sort === sort), marked = this.#render(some.mark(example));
    const candidates = marked === undefined ? some.items : missing(some.items, marked);
    const lost = candidates.find((candidate) => {
      const one = new Marks(({ index }) => index === candidate.index);
      return this.#render(one.mark(example)) === plain;
    });
    return lost ? [lost] : [];
  }

  #kindOf({ sort, turn }: Item, example: ChatExample): FindingKind {
    if (sort !== "thought") return sort;
    // Of an answer that ends the dialogue, is it written? Then it is removed only from earlier ones.
    const upTo = { ...example, messages: example.messages.slice(0, turn + 1) };
    const one = new Marks((item) => item.sort === "thought" && item.turn === turn);
    const marked = this.#render(one.mark(upTo)) ?? "";
    return missing(one.items, marked).length ? "lostThoughts" : "cutThoughts";
  }

  /** Undefined if the template refuses the dialogue. */
  #render({ messages, tools, variables, where }: ChatExample): string | undefined {
    try {
      return this.template.render(messages, where, { tools, variables }).text;
    } catch {
      return undefined;
    }
  }
}

/** Fields of messages with a meaning of their own. */
const KNOWN = [
  "role",
  "content",
  "weight",
  "name",
  "tool_calls",
  "tool_call_id",
  "reasoning_content",
  "reasoning",
  "thinking",
  "tool_plan",
];
const THOUGHTS = ["reasoning_content", "reasoning", "thinking", "tool_plan"];

/** What a text counts as if it is lost; a `thought` may be of two kinds. */
type Sort = FindingKind | "thought";

interface Item {
  /** In the order of marking. */
  readonly index: number;
  readonly sort: Sort;
  /** The message it belongs to. */
  readonly turn: number;
  readonly text: string;
}

/** Noncharacters, which no text contains. */
const MARK = /\ufdd2(\d+)\ufdd3/g;

function missing(items: readonly Item[], marked: string): Item[] {
  const found = new Set([...marked.matchAll(MARK)].map(([, index]) => Number(index)));
  return items.filter(({ index }) => !found.has(index));
}

function isThoughtIn({ sort, text }: Item, whole: string): boolean {
  return (sort === "thought" || sort === "cutThoughts") && whole.includes(text.trim());
}

/** Ends of a thought at the start of an answer. */
const THOUGHT_END = /<\/(?:think|thinking|thought|thoughts|reasoning)>|\[\/THINK\]/g;

/** Copies a dialogue with marks in those of its texts that are chosen. */
class Marks {
  readonly items: Item[] = [];
  #count = 0;
  #turn = -1;

  constructor(private readonly chooses: (item: Item) => boolean) {}

  mark(example: ChatExample): ChatExample {
    const tools = example.tools?.map((each) => this.#tool(each as JsonObject));
    const messages = example.messages.map((message, turn) => {
      this.#turn = turn;
      return this.#message(message);
    });
    return { ...example, messages, ...(tools ? { tools } : {}) };
  }

  #message(message: Message): Message {
    const { role, content, name, tool_calls: calls, weight } = message;
    const marked: Record<string, unknown> = { ...message };
    if (content !== null) marked.content = this.#content(content, message);
    // A result's name is that of the call.
    if (name && role !== "tool") marked.name = this.#text(name as string, "lostNames");
    if (Array.isArray(calls)) marked.tool_calls = calls.map((call) => this.#call(call));
    for (const field of THOUGHTS) {
      const thought = message[field];
      if (typeof thought === "string" && weight !== 0) {
        marked[field] = this.#text(thought, "thought");
      }
    }
    return marked as unknown as Message;
  }

  #content(content: string, { role, weight }: Message): string {
    switch (role) {
      case "system":
        return this.#text(content, "lostSystem");
      case "tool":
        return this.#text(content, "lostToolResults");
      case "assistant": {
        const end = [...content.matchAll(THOUGHT_END)].at(-1);
        if (!end) break;
        const thought = content.slice(0, end.index),
          answer = content.slice(end.index + end[0].length);
        const kept = weight === 0 ? thought : this.#thought(thought);
        return kept + end[0] + this.#text(answer, "lostContent");
      }
    }
    return this.#text(content, "lostContent");
  }

  /** Without the tag that opens it, which says nothing. */
  #thought(text: string): string {
    const [tag] = text.match(/^\s*(?:<\w+>|\[THINK\])/) ?? [""];
    return tag + this.#text(text.slice(tag.length), "cutThoughts");
  }

  #call(call: JsonObject): JsonObject {
    const { function: of } = call;
    if (of) return { ...call, function: this.#call(of as JsonObject) };
    return {
      ...call,
      name: this.#text(call.name as string, "lostToolCalls"),
      arguments: this.#firstKey(call.arguments as JsonObject, "lostToolCalls"),
    };
  }

  #tool(tool: JsonObject): JsonObject {
    const { function: of, description, parameters } = tool;
    if (of) return { ...tool, function: this.#tool(of as JsonObject) };
    const marked: Record<string, unknown> = {
      ...tool,
      name: this.#text(tool.name as string, "lostTools"),
    };
    if (typeof description === "string") {
      marked.description = this.#text(description, "lostToolDetails");
    }
    const { properties } = (parameters ?? {}) as JsonObject;
    if (properties && typeof properties === "object" && !Array.isArray(properties)) {
      const renamed = this.#firstKey(properties as JsonObject, "lostToolDetails");
      marked.parameters = { ...parameters as JsonObject, properties: renamed };
    }
    return marked as JsonObject;
  }

  #firstKey(object: JsonObject, sort: Sort): JsonObject {
    const [first, ...rest] = entriesOf(object);
    if (!first) return object;
    return objectOf([[this.#text(first[0], sort), first[1]], ...rest]);
  }

  /** With a mark in its middle; a blank text says nothing. */
  #text(text: string, sort: Sort): string {
    if (text.trim() === "") return text;
    const item = { index: this.#count++, sort, turn: this.#turn, text };
    if (!this.chooses(item)) return text;
    this.items.push(item);
    // Of a text's halves, neither is its beginning or end: templates look there.
    const from = text.length - text.trimStart().length, to = text.trimEnd().length;
    let middle = Math.ceil((from + to) / 2);
    if (/[\udc00-\udfff]/.test(text[middle] ?? "")) middle++;
    return `${text.slice(0, middle)}\ufdd2${item.index}\ufdd3${text.slice(middle)}`;
  }
}
