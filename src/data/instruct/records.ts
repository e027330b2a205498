/** Converts a record in one of the formats to an {@link Example}. */
import type { ChatExample, Example, Message } from "./example.ts";
import type { FindingKind } from "./findings.ts";
import { messageAt } from "./record_messages.ts";
import { PREFERENCES } from "./likely_format.ts";
import type { RecordFormat } from "./record_format.ts";
import {
  excerpt,
  isGiven,
  isRecord,
  jsonAt,
  listAt,
  objectAt,
  RecordError,
  textAt,
} from "./record_values.ts";
import { type NullRule, toolsAt } from "./tool_fields.ts";
import { assertTurns, isUnanswered } from "./turns.ts";

type Json = Record<string, unknown>;

/** Throws a {@link RecordError} that names place and field if the record does not fit the format. */
export function toExample(
  value: unknown,
  format: RecordFormat,
  where: string,
  rule: NullRule = {},
): Example {
  if (!isRecord(value)) {
    throw new RecordError(`${where}: a record must be a JSON object, got ${excerpt(value)}`);
  }
  return new RecordReader(value, format, where, rule).example();
}

/** Fields that mean something other than text to train on, if there is anything in them. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  image: "pictures",
  images: "pictures",
  video: "videos",
  videos: "videos",
  audio: "sound",
  audios: "sound",
  ...Object.fromEntries(PREFERENCES.map((name) => [name, "preferences"])),
};

/** What other programs call a system prompt; it stands in the dialogue too, or would be lost. */
const SYSTEMS = ["system", "system_prompt", "system_message", "system_instruction"];

/** Reads a record's fields; those that it is never asked for are reported. */
class RecordReader {
  readonly #read = new Set<string>();
  readonly #remarks: FindingKind[] = [];

  constructor(
    readonly record: Json,
    readonly format: RecordFormat,
    readonly where: string,
    readonly rule: NullRule,
  ) {}

  example(): Example {
    const example = this.#content();
    const variables = example.kind === "chat" ? this.#variables() : undefined;
    const ignored = this.#ignored(example);
    if (example.kind === "chat") this.#remark(example);
    const isEmpty = example.kind === "completion" && example.completion.trim() === "";
    if (isEmpty) this.#remarks.push("emptyAnswers");
    return {
      ...example,
      ...(variables ? { variables } : {}),
      ...(ignored.length ? { ignored } : {}),
      ...(this.#remarks.length ? { remarks: this.#remarks } : {}),
    };
  }

  #content(): Example {
    const { where, format: { name, columns } } = this;
    switch (name) {
      case "alpaca":
        return this.#alpaca();
      case "sharegpt":
      case "openai":
        return this.#dialogue();
      case "prompt_completion":
        return this.#completion();
      case "text":
        return { kind: "text", text: this.#text(columns.prompt), where };
    }
  }

  /** Taori et al. 2023; `history` (pairs of earlier turns) and `system` as in LLaMA-Factory. */
  #alpaca(): ChatExample {
    const { where, format: { columns } } = this;
    const messages = this.#system();
    this.#list(columns.history).forEach((pair, index) => {
      const at = this.#at(`${columns.history}[${index}]`);
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new RecordError(`${at} must be [question, answer], got ${excerpt(pair)}`);
      }
      messages.push(
        { role: "user", content: textAt(pair[0], `${at}[0]`) },
        { role: "assistant", content: textAt(pair[1], `${at}[1]`) },
      );
    });
    const query = this.#optionalText(columns.query) ?? "", prompt = this.#text(columns.prompt);
    messages.push(
      { role: "user", content: query && prompt ? `${prompt}\n${query}` : prompt || query },
      { role: "assistant", content: this.#text(columns.response) },
    );
    return { kind: "chat", messages, ...this.#tools(), where };
  }

  /** ShareGPT's `conversations` and OpenAI's `messages`. */
  #dialogue(): ChatExample {
    const { where, format: { name, columns, tags } } = this;
    const listed = this.#messages(columns.messages, "a list of messages", tags);
    if (name === "sharegpt") assertTurns(listed, this.#at(columns.messages));
    const system = this.#system();
    const isTwice = system.length > 0 && listed[0]?.role === "system";
    if (isTwice && system[0].content !== listed[0].content) this.#remarks.push("twoSystems");
    const messages = isTwice ? listed : [...system, ...listed];
    return { kind: "chat", messages, ...this.#tools(), where };
  }

  /** Strings, or (as in TRL) messages on both sides, of which the prompt's are not trained on. */
  #completion(): Example {
    const { where, format: { columns } } = this;
    const prompt = this.#field(columns.prompt), completion = this.#field(columns.response);
    if (typeof prompt === "string" && typeof completion === "string") {
      return {
        kind: "completion",
        prompt: this.#text(columns.prompt),
        completion: this.#text(columns.response),
        where,
      };
    }
    if (typeof prompt === "string") {
      throw this.#fault(columns.response, "a string as the prompt is", completion);
    }
    if (!Array.isArray(prompt)) throw this.#fault(columns.prompt, "a string", prompt);
    const before = this.#messages(columns.prompt, "a list of messages")
      .map((each) => ({ ...each, weight: 0 }));
    const after = this.#messages(columns.response, "a list of messages as the prompt is");
    return {
      kind: "chat",
      messages: [...this.#system(), ...before, ...after],
      ...this.#tools(),
      where,
    };
  }

  #messages(column: string, rule: string, tags = this.format.tags): Message[] {
    return listAt(this.#field(column), this.#at(`field "${column}"`), rule).map((each, index) => {
      return messageAt(each, tags, this.#at(`${column}[${index}]`), this.rule);
    });
  }

  #system(): Message[] {
    const content = this.#optionalText(this.format.columns.system);
    return content ? [{ role: "system", content }] : [];
  }

  /** `functions` is OpenAI's older name. */
  #tools(): Pick<ChatExample, "tools"> {
    const { format: { columns, isDeclared } } = this;
    const given = this.#given(columns.tools);
    const tools = toolsAt(given, this.#at(`${columns.tools}`));
    const older = isDeclared ? undefined : this.#given("functions");
    const functions = toolsAt(older, this.#at("functions"));
    if (tools && functions) {
      throw new RecordError(this.#at("has both tools and functions, which may differ"));
    }
    const wrapped = functions?.map((each) => ({ type: "function", function: each }));
    return tools ?? wrapped ? { tools: tools ?? wrapped } : {};
  }

  /** What TRL hands to the template. */
  #variables(): Record<string, unknown> | undefined {
    const name = "chat_template_kwargs", at = this.#at(name);
    const given = this.format.isDeclared ? undefined : this.#given(name);
    if (!isGiven(given) || given === "") return undefined;
    const variables = objectAt(given, at);
    const taken = ["messages", "tools", "add_generation_prompt"]
      .find((each) => Object.hasOwn(variables, each));
    if (taken) throw new RecordError(`${at}.${taken} is not for the record to set`);
    return jsonAt(variables, at, () => this.rule.fromTable === true) as Record<string, unknown>;
  }

  #list(column: string | null): unknown[] {
    const value = this.#given(column);
    return isGiven(value) && value !== "" ? listAt(value, this.#at(`field "${column}"`)) : [];
  }

  #optionalText(column: string | null): string | undefined {
    const value = this.#given(column);
    return isGiven(value) ? textAt(value, this.#at(`field "${column}"`)) : undefined;
  }

  #text(column: string): string {
    return textAt(this.#field(column), this.#at(`field "${column}"`));
  }

  #field(column: string): unknown {
    const value = this.#given(column);
    if (isGiven(value)) return value;
    throw new RecordError(
      this.#at(`has no field "${column}"${value === null ? " (it is null)" : ""}`),
      `it has ${Object.keys(this.record).join(", ") || "no fields"}`,
    );
  }

  #given(column: string | null): unknown {
    if (column === null) return undefined;
    this.#read.add(column);
    return Object.hasOwn(this.record, column) ? this.record[column] : undefined;
  }

  #remark({ messages }: ChatExample): void {
    const isBlank = ({ content }: Message) => !content?.trim();
    const isEmptyAnswer = (each: Message) =>
      each.role === "assistant" && isBlank(each) && !each.tool_calls && each.weight !== 0;
    if (messages.some(isEmptyAnswer)) this.#remarks.push("emptyAnswers");
    const isEmptyQuestion = (each: Message) => each.role === "user" && isBlank(each);
    if (messages.some(isEmptyQuestion)) this.#remarks.push("emptyQuestions");
    if (isUnanswered(messages)) this.#remarks.push("unanswered");
  }

  /**
   * Fields that were not read. Those with a meaning that cannot be trained on are refused, unless
   * the user has declared which fields count.
   */
  #ignored(example: Example): string[] {
    const { format: { isDeclared } } = this;
    const ignored = Object.keys(this.record)
      .filter((name) => !this.#read.has(name) && hasContent(this.record[name]));
    const unsupported = isDeclared ? undefined : ignored.find((name) => this.#means(name, example));
    if (unsupported === undefined) return ignored;
    const value = this.record[unsupported];
    throw new RecordError(
      this.#at(
        `field "${unsupported}" (${excerpt(value)}) ` +
          (Object.hasOwn(UNSUPPORTED, unsupported)
            ? `is for ${UNSUPPORTED[unsupported]}, which cannot be trained on`
            : "has no place here, and would be lost"),
      ),
      "remove it, or declare the fields to use in a dataset_info.json",
      "unsupported",
    );
  }

  /** Whether an unread field would change what is learned. */
  #means(name: string, example: Example): boolean {
    // A row of a dialogue's table, as OASST's: its answers would be learned as its questions are.
    if (example.kind === "text") return name === "role" || name === "parent_id";
    if (Object.hasOwn(UNSUPPORTED, name)) return true;
    const value = this.record[name];
    // Unpaired preferences of TRL and LLaMA-Factory: an answer, and whether it is a good one.
    if (name === "label") return typeof value === "boolean";
    if (SYSTEMS.includes(name)) {
      return example.kind !== "chat" || !example.messages.some(({ content }) => content === value);
    }
    if (name === "context") return this.format.name === "alpaca";
    return ["tools", "functions", "history"].includes(name);
  }

  #at(what: string): string {
    return `${this.where}: ${what}`;
  }

  #fault(column: string, rule: string, value: unknown): RecordError {
    return new RecordError(this.#at(`field "${column}" must be ${rule}, got ${excerpt(value)}`));
  }
}

function hasContent(value: unknown): boolean {
  return isGiven(value) && value !== "" && !(Array.isArray(value) && value.length === 0);
}
