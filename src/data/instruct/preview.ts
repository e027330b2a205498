/** What a model is about to learn, for people to look at. */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { ExampleStore, StoredExample } from "./store.ts";

/** Options of {@link preview}. */
export interface PreviewOptions {
  /** The tokenizer that encoded the examples. */
  readonly tokenizer: Tokenizer;
  /** Green for what is learned; without it «…» brackets. */
  readonly colour?: boolean;
}

/** The first `count` examples as the model sees them, what it learns marked, and their tokens. */
export function preview(examples: ExampleStore, count: number, options: PreviewOptions): string {
  const shown = Math.min(count, examples.count);
  return Array.from({ length: shown }, (_, index) => {
    const example = examples.at(index);
    const trained = example.trained.reduce((sum, each) => sum + each, 0);
    return `example ${index + 1}: ${example.ids.length} tokens, ${trained} learned\n` +
      marked(example, options);
  }).join("\n\n");
}

const GREEN = "\x1b[32m", PLAIN = "\x1b[39m";

function marked({ ids, trained }: StoredExample, { tokenizer, colour }: PreviewOptions): string {
  const [open, close] = colour ? [GREEN, PLAIN] : ["«", "»"];
  let text = "", shown = "", start = 0;
  for (let end = 1; end <= ids.length; end++) {
    if (end < ids.length && trained[end] === trained[start]) continue;
    // The text so far, less what was shown of it: decoders treat the start of a text differently.
    const soFar = tokenizer.decode(ids.subarray(0, end));
    const part = soFar.slice(shown.length);
    text += trained[start] ? open + part + close : part;
    [shown, start] = [soFar, end];
  }
  return text;
}
