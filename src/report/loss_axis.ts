/** The axis of losses, without the first ones, which would leave little of it to the others. */
import type { Axis, LinePoint } from "../plot/chart.ts";

/** `from`: where the part of the run begins whose losses must be seen. */
export function lossAxis(points: readonly LinePoint[], from: number): Axis {
  const title = "loss, nats a token", later = points.filter(({ x }) => x >= from);
  if (!later.length) return { title };
  const low = later.reduce((least, { y, low = y }) => Math.min(least, low), Infinity);
  const high = later.reduce((most, { y, high = y }) => Math.max(most, high), -Infinity);
  const room = 0.04 * (high - low) || 0.1;
  return { title, domain: [low - room, high + room] };
}
