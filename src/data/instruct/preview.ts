/** A preview of what a model would be trained on. */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { ExampleStore, StoredExample } from "./store.ts";

/** Options of {@link preview}. */
export interface PreviewOptions {
  /** The tokenizer that encoded the examples. */
  readonly tokenizer: Tokenizer;
  /** Marks trained text in green; otherwise with «…». */
  readonly colour?: boolean;
}

/**
 * The first `count` examples as the model sees them, with trained text marked, and their tokens.
 */
export function preview(examples: ExampleStore, count: number, options: PreviewOptions): string {
  const shown = Math.min(count, examples.count);
  return Array.from({ length: shown }, (_, index) => {
    const example = examples.at(index);
    const trained = example.trained.reduce((sum, each) => sum + each, 0);
    return `example ${index + 1}: ${example.ids.length} tokens, ${trained} trained\n` +
      marked(example, options);
  }).join("\n\n");
}

const GREEN = "\x1b[32m", PLAIN = "\x1b[39m";

function marked({ ids, trained }: StoredExample, { tokenizer, colour }: PreviewOptions): string {
  const [open, close] = colour ? [GREEN, PLAIN] : ["«", "»"];
  let text = "", before = 0, start = 0;
  for (let end = 1; end <= ids.length; end++) {
    if (end < ids.length && trained[end] === trained[start]) continue;
    // With the part before, and less it: decoders treat the start of a text differently.
    const context = tokenizer.decode(ids.subarray(before, start));
    const part = tokenizer.decode(ids.subarray(before, end)).slice(context.length);
    text += trained[start] ? open + part + close : part;
    [before, start] = [start, end];
  }
  return text;
}
