/** What a comparison says of each method, in words: for a terminal and for Markdown. */
import { formatBytes, formatCount, formatDuration } from "../text.ts";
import type { CompareRecord, MethodRecord, RunStatus, Spread } from "./record.ts";

/** A table as texts; its first column names the method. */
export interface TextTable {
  /** Names of the columns. */
  readonly head: readonly string[];
  /** As many texts each. */
  readonly rows: readonly (readonly string[])[];
}

const NOTES: Readonly<Record<RunStatus, string>> = {
  done: "",
  diverged: "diverged",
  does_not_fit: "does not fit",
};

/** A line for each method. */
export function resultTable({ methods }: CompareRecord): TextTable {
  const withDifference = methods.some(({ difference }, at) => at > 0 && difference);
  const withRefreshes = methods.some(({ subspace_refreshes: each }) => each && each.mean > 0);
  return {
    head: [
      "method",
      "learning rate",
      "training loss",
      "held-out loss",
      ...withDifference ? ["difference"] : [],
      "perplexity",
      "GPU memory",
      "tokens/s",
      ...withRefreshes ? ["refreshes"] : [],
      "",
    ],
    rows: methods.map((method, at) => [
      method.name,
      method.lr === undefined ? "-" : formatRate(method.lr),
      spreadText(method.final_loss, 3),
      spreadText(method.eval_loss, 3),
      ...withDifference ? [at ? spreadText(method.difference, 3, true) : "-"] : [],
      method.eval_perplexity?.toFixed(2) ?? "-",
      method.gpu_peak_bytes === undefined
        ? method.planned_peak_bytes === undefined ? "-" : formatBytes(method.planned_peak_bytes)
        : formatBytes(method.gpu_peak_bytes),
      method.tokens_per_second === undefined
        ? "-"
        : Math.round(method.tokens_per_second).toString(),
      ...withRefreshes ? [refreshText(method)] : [],
      noteOf(method),
    ]),
  };
}

/** How the runs of a method ended that did not end well. */
export function noteOf({ runs, sweep }: MethodRecord): string {
  const bad = (runs.length ? runs : sweep).filter(({ status }) => status !== "done");
  if (!bad.length) return "";
  const all = (runs.length || sweep.length) === bad.length;
  const [{ status }] = bad;
  if (status === "does_not_fit" || all) return NOTES[status];
  return `${NOTES[status]} with seed ${bad.map(({ seed }) => seed).join(", ")}`;
}

/** `0.002`, without the last bits of a product. */
export function formatRate(lr: number): string {
  return String(Number(lr.toPrecision(4)));
}

/** The rates that were tried, each with its loss, the lowest rate first. */
export function sweepText({ sweep, lr }: MethodRecord): string {
  return sweep.toSorted((a, b) => a.lr - b.lr).map((run) => {
    const loss = run.status === "done"
      ? (run.eval_loss ?? run.final_loss)?.toFixed(3) ?? "?"
      : NOTES[run.status];
    const text = `${formatRate(run.lr)}: ${loss}`;
    return run.lr === lr ? `**${text}**` : text;
  }).join(", ");
}

/** `1.957 ± 0.013`. */
export function spreadText(spread: Spread | undefined, digits: number, signed = false): string {
  if (!spread) return "-";
  const sign = signed && spread.mean >= 0 ? "+" : "";
  const deviation = spread.sd === undefined ? "" : ` ± ${spread.sd.toFixed(digits)}`;
  return `${sign}${spread.mean.toFixed(digits).replace("-", "−")}${deviation}`;
}

function refreshText({ subspace_refreshes: each, ...method }: MethodRecord): string {
  const fixed = method.subspace_refreshes_fixed_interval;
  if (!each || !fixed) return "-";
  return `${Math.round(each.mean)} of ${fixed}`;
}

/** How long it trained, on what, where. */
export function trainedText(record: CompareRecord): string {
  const { parameters, steps, tokens, seeds, adapter, system, seconds, options } = record;
  const { batchSize, seqLen } = options;
  const each = tokens === undefined ? "" : `, ${formatCount(tokens)} tokens`;
  const share = tokens === undefined || !parameters || record.kind === "finetune"
    ? ""
    : ` (${(tokens / parameters).toPrecision(2)} a parameter)`;
  const batch = batchSize === undefined && seqLen === undefined
    ? ""
    : ` of ${batchSize ?? "the usual number of"} sequences of ${seqLen ?? "the usual number of"}`;
  return `${steps} steps${batch}${each}${share}, seed${seeds.length > 1 ? "s" : ""} ` +
    `${seeds.join(", ")}, in ${formatDuration(seconds)} on ${adapter} (${system})`;
}
