/** What a comparison says of each method, in words: for a terminal and for Markdown. */
import { counted, formatBytes, formatCount, formatDuration } from "../text.ts";
import type { CompareRecord, MethodRecord, RunStatus, Spread } from "./record.ts";
import { lacksMemory, sweepLoss } from "./sweep.ts";

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
  out_of_memory: "no memory granted",
};

/** A line for each method. */
export function resultTable({ methods, seeds }: CompareRecord): TextTable {
  const withDifference = methods.some(({ difference }, at) => at > 0 && difference);
  const withRefreshes = methods.some(({ subspace_refreshes: each }) => each && each.mean > 0);
  const spread = (value: Spread | undefined, signed = false) =>
    spreadText(value, 3, { signed, of: seeds.length });
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
      ...withRefreshes ? ["with refreshes", "refreshes"] : [],
      "",
    ],
    rows: methods.map((method, at) => [
      method.name,
      method.lr === undefined ? "-" : formatRate(method.lr),
      spread(method.final_loss),
      spread(method.eval_loss),
      ...withDifference ? [at ? spread(method.difference, true) : "-"] : [],
      method.eval_perplexity?.toFixed(2) ?? "-",
      memoryText(method),
      speedText(method.tokens_per_second),
      ...withRefreshes
        ? [
          speedText(method.tokens_per_second_with_refreshes ?? method.tokens_per_second),
          refreshText(method),
        ]
        : [],
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
  if (lacksMemory({ status }) || all) return NOTES[status];
  return `${NOTES[status]} with seed ${bad.map(({ seed }) => seed).join(", ")}`;
}

/** `0.002`, without the last bits of a product. */
export function formatRate(lr: number): string {
  return String(Number(lr.toPrecision(4)));
}

/** The rates that were tried, each with its loss, the lowest rate first. */
export function sweepText({ sweep, lr }: MethodRecord): string {
  return sweep.toSorted((a, b) => a.lr - b.lr).map((run) => {
    const loss = run.status === "done" ? sweepLoss(run)?.toFixed(3) ?? "?" : NOTES[run.status];
    const text = `${formatRate(run.lr)}: ${loss}`;
    return run.lr === lr ? `**${text}**` : text;
  }).join(", ");
}

/** `1.957 ± 0.013`; `1.957 (1 of 3)` where not all seeds have a value. */
function spreadText(
  spread: Spread | undefined,
  digits: number,
  { signed, of }: { readonly signed: boolean; readonly of: number },
): string {
  if (!spread) return "-";
  const some = spread.n < of ? ` (${spread.n} of ${of})` : "";
  const sign = signed && spread.mean >= 0 ? "+" : "";
  const deviation = spread.sd === undefined ? "" : ` ± ${spread.sd.toFixed(digits)}`;
  return `${sign}${spread.mean.toFixed(digits).replace("-", "−")}${deviation}${some}`;
}

/** What was allocated; of one that did not run, what is planned. */
function memoryText({ gpu_peak_bytes, planned_peak_bytes }: MethodRecord): string {
  if (gpu_peak_bytes !== undefined) return formatBytes(gpu_peak_bytes);
  return planned_peak_bytes === undefined ? "-" : `${formatBytes(planned_peak_bytes)} planned`;
}

function speedText(speed: number | undefined): string {
  return speed === undefined ? "-" : Math.round(speed).toString();
}

function refreshText({ subspace_refreshes: each, ...method }: MethodRecord): string {
  const fixed = method.subspace_refreshes_fixed_interval;
  if (!each || !fixed) return "-";
  return `${Math.round(each.mean)} of ${fixed}`;
}

/** How long it trained, on what, where. */
export function trainedText(record: CompareRecord): string {
  const { parameters, steps, batch, tokens, seeds, adapter, system, seconds } = record;
  const each = tokens === undefined ? "" : `, ${formatCount(tokens)} in all`;
  const share = tokens === undefined || !parameters || record.kind === "finetune"
    ? ""
    : ` (${(tokens / parameters).toPrecision(2)} a parameter)`;
  return `${steps} steps of ${
    counted(batch.sequences, "sequence")
  } of ${batch.tokens} tokens${each}` +
    `${share}, seed${seeds.length > 1 ? "s" : ""} ${seeds.join(", ")}, in ` +
    `${formatDuration(seconds)} on ${adapter} (${system})`;
}
