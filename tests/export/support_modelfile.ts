/** Modelfiles of every built-in template, and dialogues to render with them. */
import { chatTemplate, TEMPLATE_NAMES } from "../../src/data/instruct/templates.ts";
import { beginsWithBos } from "../../src/tokenizers/text_ends.ts";
import { modelfile } from "../../src/export/modelfile.ts";
import { tokenizers } from "../data/instruct/support.ts";

const USER = { role: "user", content: 'Hi "there"' };
const ANSWER = { role: "assistant", content: "yo {{ x }}" };
const SYSTEM = { role: "system", content: "Be {nice}\nand \\kind" };

export const DIALOGUES = [
  [USER],
  [USER, ANSWER, USER],
  [SYSTEM, USER],
  [SYSTEM, USER, ANSWER, USER, ANSWER, USER],
];

/** One case for each template and tokenizer: with its own tokens, and without. */
export const CASES = TEMPLATE_NAMES.filter((name) => name !== "default").flatMap((name) =>
  (["chat", "llama"] as const).map((kind) => {
    const tokenizer = tokenizers[kind], template = chatTemplate(name, tokenizer);
    const addedBos = beginsWithBos(tokenizer) ? tokenizer.specialTokens.bosToken! : "";
    return {
      name: `${name}, tokenizer ${kind}`,
      /** As the template renders a dialogue with the start of an answer, without `addedBos`. */
      rendered: DIALOGUES.map((messages) => {
        const { text } = template.render(messages, "dialogue", { addGenerationPrompt: true });
        return text.startsWith(addedBos) ? text.slice(addedBos.length) : text;
      }),
      modelfile: modelfile({
        from: "model.gguf",
        template,
        addedBos,
        stops: ["<|im_end|>", 'a "mark"\nof two lines'],
        generation: {
          eosTokenIds: [],
          doSample: true,
          temperature: 0.6,
          topP: 0.9,
          repetitionPenalty: 1.1,
          ignored: [],
        },
        maxPositions: 2048,
      }),
    };
  })
);
