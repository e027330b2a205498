/** The model card of a run. */
import { basename, join, resolve } from "../packages/std_path.ts";
import { dataNames } from "../data/data.ts";
import { modelCard } from "../export/model_card.ts";
import { type FinetuneOptions, finetuneOptions } from "./finetune_options.ts";
import { chosenEmbeddingRule, embeddingOptimizerOf } from "./method_fields.ts";
import { methodOf } from "./methods.ts";
import { type PretrainOptions, pretrainOptions } from "./options.ts";
import { ofOneRank } from "./rank_options.ts";
import type { RunResults } from "./recipe.ts";

export interface RunCard {
  readonly kind: "model" | "adapter";
  readonly options: PretrainOptions | FinetuneOptions;
  /** The model that the run started from, as given. */
  readonly base?: string;
  /** A sentence on the format of dialogues, if the model was trained on any. */
  readonly chat?: string;
  readonly results: RunResults;
}

/** Writes README.md into the folder of a trained model or adapter. */
export async function writeRunCard(folder: string, card: RunCard): Promise<void> {
  const { kind, base, chat, results } = card, options = ofOneRank(card.options, results.ranks);
  const { optimizer, output } = options, { title, about } = methodOf(optimizer);
  const finetuned = "template" in options;
  const made = finetuned
    ? "Fine-tuned"
    : base === undefined
    ? "Trained from random weights"
    : "Pre-trained further on text";
  const text = modelCard({
    kind,
    title: basename(resolve(output)),
    summary: `${made} with ${title}. ${about}`,
    base,
    data: dataNames(options.data),
    tags: [optimizer],
    facts: [["Method", `${title} (\`${optimizer}\`)`], ...factsOf(results)],
    chat,
    options: chosenOptions(withEmbeddingRule(options, results)),
  });
  await Deno.writeTextFile(join(folder, "README.md"), text);
}

/** A continued run has the rule that it began with, where its options leave it open. */
function withEmbeddingRule(
  options: PretrainOptions | FinetuneOptions,
  { embedding_optimizer: embeddingOptimizer }: RunResults,
): PretrainOptions | FinetuneOptions {
  const usual = embeddingOptimizerOf(methodOf(options.optimizer).rules.embeddings);
  return chosenEmbeddingRule(options) || embeddingOptimizer === usual
    ? options
    : { ...options, embeddingOptimizer };
}

/** The options that are not as the method's defaults would be: a file of them repeats the run. */
export function chosenOptions(
  options: PretrainOptions | FinetuneOptions,
): Readonly<Record<string, unknown>> {
  const { model, output, optimizer, data, evalData } = options;
  const schema = "template" in options ? finetuneOptions : pretrainOptions;
  const from = "from" in options ? { from: options.from } : undefined;
  const defaults: Readonly<Record<string, unknown>> = {
    ...schema.parseUnknown({ model, ...from, data: ["-"], output, optimizer }),
  };
  const named = {
    ...options,
    ...(data && { data: dataNames(data) }),
    ...(evalData && { evalData: dataNames(evalData) }),
  };
  const always = ["model", "from", "data", "optimizer"];
  return Object.fromEntries(
    Object.entries(named).filter(([name, value]) =>
      always.includes(name) || JSON.stringify(value) !== JSON.stringify(defaults[name])
    ),
  );
}

function factsOf(results: RunResults): [string, string | undefined][] {
  const loss = (value: number) => `${value.toFixed(4)} nats a token`;
  const { first_eval_loss: first, eval_loss: last, eval_perplexity: perplexity } = results;
  return [
    ["Steps", String(results.steps)],
    ["Tokens trained on", results.tokens.toLocaleString("en")],
    ["Training loss at the end", loss(results.final_loss)],
    ["Held-out loss before training", first === undefined ? undefined : loss(first)],
    [
      "Held-out loss",
      last === undefined ? undefined : `${loss(last)} (perplexity ${perplexity?.toFixed(2)})`,
    ],
    ["GPU", results.adapter],
    ["Processes", results.ranks === undefined ? undefined : `${results.ranks}, with a GPU each`],
  ];
}
