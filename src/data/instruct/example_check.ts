/** Writes examples as text, and reports what of them is refused or lost on the way. */
import {
  type EncodeExampleOptions,
  RefusedError,
  writeExample,
  type WrittenExample,
} from "./encode.ts";
import type { ChatExample, Example, Message } from "./example.ts";
import { addFinding, effectOf } from "./findings.ts";
import { LossCheck } from "./lost_fields.ts";
import { addUnusable, type InstructReport } from "./report.ts";
import { controlTokens } from "./templates.ts";

/** Checks the examples of one data set. */
export class ExampleCheck {
  #losses: LossCheck | undefined;
  #controls: readonly string[] | undefined;
  readonly #unread = new Set<string>();
  readonly #unwritten = new Set<string>();

  constructor(
    private readonly options: Pick<
      EncodeExampleOptions,
      "template" | "tokenizer" | "trainOnPrompt"
    >,
    private readonly report: InstructReport,
  ) {}

  /** The example as text; undefined, and counted, if it cannot be used as it is. */
  written(example: Example): WrittenExample | undefined {
    for (const name of example.ignored ?? []) this.#unread.add(name);
    let written: WrittenExample;
    try {
      written = writeExample(example, this.options);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      addUnusable(this.report, ["refused"], example.where, error.explanation);
      return undefined;
    }
    return example.kind !== "chat" || this.#isWhole(example, written) ? written : undefined;
  }

  /** What the user may want to know about fields. */
  notes(): string[] {
    const list = (names: ReadonlySet<string>) =>
      [...names].map((name) => name.trim() || `"${name}"`).join(", ");
    return [
      ...(this.#unread.size ? [`fields ignored: ${list(this.#unread)}`] : []),
      ...(this.#unwritten.size
        ? [`fields of messages that the chat template does not write: ${list(this.#unwritten)}`]
        : []),
    ];
  }

  #isWhole(given: ChatExample, { text, shown: example = given }: WrittenExample): boolean {
    const template = this.options.template();
    this.#losses ??= new LossCheck(template);
    const { source } = template.for(example.tools);
    for (const name of Object.keys(example.variables ?? {})) {
      if (!source.includes(name)) this.#unread.add(`chat_template_kwargs.${name}`);
    }
    for (const name of this.#losses.ignoredIn(example)) this.#unwritten.add(name);
    const lost = this.#losses.lostIn(example, text);
    const unusable = lost.filter((kind) => effectOf(kind) === "unusable");
    if (unusable.length) {
      addUnusable(this.report, unusable, example.where);
      return false;
    }
    if (this.#hasControls(example)) lost.push("controlTokens");
    if (this.options.trainOnPrompt && example.messages.some(isLeftOut)) lost.push("weightsUnused");
    for (const kind of lost) addFinding(this.report.findings, kind, example.where);
    return true;
  }

  #hasControls({ messages }: ChatExample): boolean {
    const { template, tokenizer } = this.options;
    const controls = this.#controls ??= controlTokens(template(), tokenizer);
    return messages.some(({ content }) => controls.some((token) => content?.includes(token)));
  }
}

function isLeftOut({ role, weight }: Message): boolean {
  return role === "assistant" && weight === 0;
}
