/** The process that reads a model's configuration and vocabulary; no weights are read. */
import { checkTokenizer } from "../../tokenizers/check_tokenizer.ts";
import { loadTokenizer } from "../../tokenizers/load_tokenizer.ts";
import { openPretrained } from "../../formats/pretrained_model.ts";
import { chatTemplate, TEMPLATE_NAMES } from "../../data/instruct/templates.ts";
import { type Explanation, UserError } from "../../options/user_error.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { programArguments } from "../processes/own_program.ts";
import type { Inspection, ModelFacts } from "./model_facts.ts";

const [path, name] = programArguments();
console.log(JSON.stringify(await inspect(path, name)));

/** What is wrong with each template that this tokenizer cannot use. */
function templateFaults(tokenizer: Tokenizer): ModelFacts["templateFaults"] {
  const faults: Record<string, Explanation> = {};
  for (const name of TEMPLATE_NAMES) {
    try {
      chatTemplate(name, tokenizer);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      faults[name] = error.explanation;
    }
  }
  return faults;
}

async function inspect(path: string, name: string): Promise<Inspection> {
  try {
    using model = await openPretrained(path);
    const { config } = model;
    const tokenizer = await loadTokenizer(path);
    const notes = checkTokenizer(tokenizer, config, { tokenizer: name, model: name });
    const { vocabSize, bosTokenId, eosTokenId } = tokenizer;
    return {
      facts: {
        config,
        vocabulary: { vocabSize, bosTokenId, eosTokenId },
        warnings: [...model.warnings, ...tokenizer.warnings, ...notes],
        templateFaults: templateFaults(tokenizer),
      },
    };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}
