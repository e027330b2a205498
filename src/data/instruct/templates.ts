/**
 * Chat templates by name, for tokenizers without one and for the option `template`; names as in
 * LLaMA-Factory. Each is written from the format published with its models.
 */
import { option, phrase } from "../../options/phrase.ts";
import alpaca from "./templates/alpaca.jinja" with { type: "text" };
import chatml from "./templates/chatml.jinja" with { type: "text" };
import gemma from "./templates/gemma.jinja" with { type: "text" };
import llama2 from "./templates/llama2.jinja" with { type: "text" };
import llama3 from "./templates/llama3.jinja" with { type: "text" };
import mistral from "./templates/mistral.jinja" with { type: "text" };
import qwen from "./templates/qwen.jinja" with { type: "text" };
import vicuna from "./templates/vicuna.jinja" with { type: "text" };
import zephyr from "./templates/zephyr.jinja" with { type: "text" };
import { UserError } from "../../options/user_error.ts";
import { beginsWithBos } from "../../tokenizers/text_ends.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { ChatTemplate } from "./chat_template.ts";

const BUILT_IN: Record<string, string> = {
  alpaca,
  chatml,
  gemma,
  llama2,
  llama3,
  mistral,
  qwen,
  vicuna,
  zephyr,
};

/** Values of the option `template`; `default` is the tokenizer's own. */
export const TEMPLATE_NAMES: readonly string[] = ["default", ...Object.keys(BUILT_IN)];

/** Plain-text templates, which have a BOS only if the tokenizer starts texts with one. */
const PLAIN = ["alpaca", "vicuna"];

/**
 * The named template for that tokenizer; its `source` is standard Jinja and can be saved with the
 * tokenizer. Throws a {@link UserError} if there is none.
 */
export function chatTemplate(
  name: string,
  tokenizer: Tokenizer,
  now: Date = new Date(),
): ChatTemplate {
  const { specialTokens, chatTemplate: own, toolTemplate } = tokenizer;
  if (name === "default") {
    if (own !== null) {
      const options = { name: "the tokenizer's chat template", specialTokens, now };
      const toolUse = toolTemplate === undefined
        ? undefined
        : new ChatTemplate(toolTemplate, { ...options, name: "the tokenizer's template tool_use" });
      return new ChatTemplate(own, options, toolUse);
    }
    throw new UserError(
      "the tokenizer has no chat template, which conversations need",
      phrase`${option("template")} chooses the one its model was or will be trained with:
        ${TEMPLATE_NAMES.slice(1).join(", ")}`,
    );
  }
  if (!Object.hasOwn(BUILT_IN, name)) {
    throw new UserError(
      `template "${name}" is not known`,
      `known are ${TEMPLATE_NAMES.join(", ")}`,
    );
  }
  let source = BUILT_IN[name];
  if (PLAIN.includes(name) && !beginsWithBos(tokenizer)) {
    source = source.replace("{{- bos_token -}}\n", "");
  }
  if (source.includes("eos_token") && specialTokens.eosToken === null) {
    throw new UserError(
      `template ${name} ends the assistant's turns with the end-of-text token, which this ` +
        "tokenizer lacks",
    );
  }
  return new ChatTemplate(source, { name: `template ${name}`, specialTokens, now });
}

/**
 * Marks of a template, such as `<|im_end|>`, that are not single tokens of this tokenizer: a model
 * tuned with them spells them out, and generates past the end of its answer unless stopped there.
 */
export function spelledMarks(template: ChatTemplate, tokenizer: Tokenizer): string[] {
  const marks = shortDialogue(template).match(/<\|?[a-z_]+\|?>/g) ?? [];
  return [...new Set(marks)].filter((mark) => {
    return tokenizer.encode(mark, { addSpecialTokens: false }).length !== 1;
  });
}

/** Special tokens that the template writes around texts, such as the end of a turn. */
export function controlTokens(template: ChatTemplate, tokenizer: Tokenizer): string[] {
  const ids = tokenizer.encode(shortDialogue(template), { addSpecialTokens: false });
  const texts = [...new Set(ids)].map((id) => {
    const isSpecial = tokenizer.decode([id], { skipSpecialTokens: true }) === "";
    return isSpecial ? tokenizer.decode([id]).trim() : "";
  });
  return texts.filter((text) => text !== "");
}

/** What every dialogue has; a template's other marks are of tools and thoughts. */
function shortDialogue(template: ChatTemplate): string {
  const turns = [{ role: "user", content: "question" }, { role: "assistant", content: "answer" }];
  for (const messages of [[{ role: "system", content: "system" }, ...turns], turns]) {
    try {
      return template.render(messages, "a short dialogue").text;
    } catch {
      // Without a system prompt, then.
    }
  }
  return template.source;
}
