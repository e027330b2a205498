/** Arranges requests for log-likelihoods into few sequences of similar length. */
import { ShapeError } from "../numbers/shape_error.ts";
import { UserError } from "../options/user_error.ts";

/** Token ids. */
export interface LogLikelihoodRequest {
  /** What comes before the continuation; may be empty. */
  readonly context: readonly number[];
  /** One token or more. */
  readonly continuation: readonly number[];
}

/** One sequence for the model, and its continuations. */
export interface ScoredRow {
  readonly inputs: readonly number[];
  readonly targets: readonly ScoredTarget[];
}

export interface ScoredTarget {
  /** Index of the request. */
  readonly request: number;
  /** Its last tokens are the continuation, `count` of them; its inputs are all but the last. */
  readonly count: number;
  readonly tokens: readonly number[];
  readonly dropped: number;
}

/**
 * Sequences, longest first; requests with the same inputs share one. A window of `length` + 1
 * tokens holds `length` inputs, since the last token is only predicted.
 */
export function planRows(
  requests: readonly LogLikelihoodRequest[],
  { length, vocabSize, prefixToken }: {
    readonly length: number;
    readonly vocabSize: number;
    readonly prefixToken?: number;
  },
): ScoredRow[] {
  const targets = requests.map(({ context, continuation }, request): ScoredTarget => {
    const count = continuation.length;
    if (count === 0) throw new UserError(`log-likelihood: continuation ${request} has no token`);
    if (count > length) {
      throw new UserError(
        `log-likelihood: continuation ${request} has ${count} tokens, ` +
          `at most ${length} go through the model`,
      );
    }
    if (context.length === 0 && prefixToken === undefined) {
      throw new UserError(
        `log-likelihood: the context of request ${request} is empty, and the model has neither a ` +
          "BOS nor an EOS token to start from",
        "pass a prefixToken",
      );
    }
    const all = [...(context.length ? context : [prefixToken!]), ...continuation];
    const bad = all.find((id) => !(id >= 0 && id < vocabSize));
    if (bad !== undefined) {
      throw new ShapeError(
        `log-likelihood: token id ${bad} of request ${request} is outside the vocabulary of ` +
          `${vocabSize}`,
        "does the tokenizer belong to this model?",
      );
    }
    const dropped = Math.max(0, all.length - (length + 1));
    return { request, count, tokens: all.slice(dropped), dropped };
  });
  targets.sort(longestFirst);
  const rows: { inputs: readonly number[]; targets: ScoredTarget[] }[] = [];
  for (const target of targets) {
    const last = rows.at(-1);
    if (last && sameInputs(last.targets[0].tokens, target.tokens)) last.targets.push(target);
    else rows.push({ inputs: target.tokens.slice(0, -1), targets: [target] });
  }
  return rows;
}

/** By length, then by tokens, so that those with the same inputs are adjacent. */
function longestFirst({ tokens: a }: ScoredTarget, { tokens: b }: ScoredTarget): number {
  if (a.length !== b.length) return b.length - a.length;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

function sameInputs(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  // Compare from the end: prompts of one task start alike.
  for (let i = a.length - 2; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}

/** Batches of one shape, which share buffers. */
export interface ScoredRun {
  readonly batch: number; // B
  readonly length: number; // T
  /** Most continuation tokens in a batch. */
  readonly targets: number;
  readonly batches: readonly (readonly ScoredRow[])[];
}

/** Shorter batches reuse the buffers of longer ones while at most this share is padding. */
const PADDING = 1 / 8;

export function planRuns(rows: readonly ScoredRow[], batch: number): ScoredRun[] {
  const runs: { batch: number; length: number; targets: number; batches: ScoredRow[][] }[] = [];
  for (let start = 0; start < rows.length; start += batch) {
    const members = rows.slice(start, start + batch);
    const length = members[0].inputs.length;
    const targets = members.flatMap((row) => row.targets)
      .reduce((sum, target) => sum + target.count, 0);
    const last = runs.at(-1);
    if (last && length >= last.length * (1 - PADDING)) {
      last.batches.push(members);
      last.targets = Math.max(last.targets, targets);
    } else runs.push({ batch: members.length, length, targets, batches: [members] });
  }
  return runs;
}
