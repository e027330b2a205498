/** The process that reads a model's configuration and vocabulary; no weights are read. */
import { checkTokenizer } from "../../tokenizers/check_tokenizer.ts";
import { loadTokenizer } from "../../tokenizers/load_tokenizer.ts";
import { openPretrained } from "../../formats/pretrained_model.ts";
import { UserError } from "../../options/user_error.ts";
import { programArguments } from "../processes/own_program.ts";
import type { Inspection } from "./model_facts.ts";

const [path, name] = programArguments();
console.log(JSON.stringify(await inspect(path, name)));

async function inspect(path: string, name: string): Promise<Inspection> {
  try {
    using model = await openPretrained(path);
    const { config } = model;
    const tokenizer = await loadTokenizer(path);
    checkTokenizer(tokenizer, config, { tokenizer: name, model: name });
    const { vocabSize, bosTokenId, eosTokenId } = tokenizer;
    return { facts: { config, vocabulary: { vocabSize, bosTokenId, eosTokenId } } };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}
