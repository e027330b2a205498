/** The ranks chosen by `--rank auto`, one line per kind of projection. */
import { formatBytes, formatTable } from "../text.ts";
import type { RankAdviceEvent } from "../train/events.ts";

export function describeRanks({ share, matrices, bytes }: RankAdviceEvent): string {
  const kinds = Map.groupBy(matrices, ({ name }) => name.split(".").at(-2)!);
  const rows = [...kinds].map(([kind, matrices]) => {
    const ranks = matrices.map(({ rank }) => rank).sort((a, b) => a - b);
    const [least, median, most] = [0, ranks.length >> 1, ranks.length - 1].map((i) => ranks[i]);
    const kept = Math.min(...matrices.map(({ energy }) => energy));
    const shape = matrices[0].shape.join(" x ");
    return [kind, shape, `${least}`, `${median}`, `${most}`, percent(kept)];
  });
  // Shares are sums in float32: ignore the last digits.
  const flat = matrices.filter(({ energy }) => energy < share - 1e-4).length;
  return [
    `ranks that keep ${percent(share)} of the first gradients' energy, over all layers:`,
    formatTable(["", "shape", "least", "median", "most", "kept"], rows),
    ...(flat
      ? [
        `gradients of ${flat} matrices are too flat: they get the highest rank tried`,
      ]
      : []),
    `optimizer state and projections: ${formatBytes(bytes.advised)}, ` +
    `${formatBytes(bytes.default_rank)} with the default rank everywhere`,
  ].join("\n");
}

function percent(share: number): string {
  // Round down, since 89.96% is not 90%, but tolerate float32 rounding error.
  return `${Math.floor(1000 * share + 0.01) / 10}%`;
}
