/** What the kinds of charts have in common: sizes, texts, axes. */
import type { Axis } from "./chart.ts";
import { LIGHT } from "./theme.ts";

/** Of a whole chart in pixels: the width of a README's column. */
export const WIDTH = 800;
/** Of the plot area of lines and points. */
export const HEIGHT = 330;
/** Inter is at hand where it is drawn as pixels; the others where a browser draws it. */
export const FONT = "Inter, system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif";
const SIZE = 13;

/** About how wide a text is, in pixels. */
export function widthOf(text: string, size: number = SIZE): number {
  return Math.ceil(0.55 * size * [...text].length);
}

/** The least and the greatest of some values, which may be very many; 0 and 1 of none. */
export function extentOf(values: readonly number[]): [number, number] {
  if (!values.length) return [0, 1];
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
}

/** Ends of an axis: as given, or those of the data, with room beyond. */
export function domainOf({ scale, domain }: Axis, values: readonly number[]): [number, number] {
  if (domain) return [...domain];
  const finite = values.filter((value) => Number.isFinite(value) && (scale !== "log" || value > 0));
  if (!finite.length) return scale === "log" ? [1, 10] : [0, 1];
  const [low, high] = extentOf(finite);
  if (scale === "log") return [low / 1.1, high * 1.1];
  const room = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [low - room, high + room];
}

/** Where a value lies on an axis of that length, in pixels from its beginning. */
export function placeOn(
  { scale }: Axis,
  [low, high]: readonly [number, number],
  length: number,
): (value: number) => number {
  const on = scale === "log" ? Math.log : (value: number) => value;
  return (value) => length * (on(value) - on(low)) / (on(high) - on(low));
}

/** Sides of a chart around its plot area. */
export interface Margins {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The frame of a chart: a title at its left edge, the colours and fonts of everything. */
export function frame(
  title: string,
  margins: Margins,
  height: number,
  { marks, ...spec }: { readonly marks: readonly object[] } & Readonly<Record<string, unknown>>,
): object {
  const { left, right, top, bottom } = margins;
  const axis = {
    labelColor: LIGHT.muted,
    titleColor: LIGHT.muted,
    tickColor: LIGHT.grid,
    domainColor: LIGHT.grid,
    gridColor: LIGHT.grid,
    labelFont: FONT,
    titleFont: FONT,
    labelFontSize: SIZE - 1,
    titleFontSize: SIZE - 1,
    titleFontWeight: "normal",
    titlePadding: 8,
    tickSize: 4,
    labelLimit: 260,
  };
  return {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    background: LIGHT.surface,
    width: WIDTH - left - right,
    height,
    padding: { left, right, top, bottom },
    autosize: { type: "none" },
    config: { axis, text: { font: FONT, fontSize: SIZE } },
    ...spec,
    marks: [...marks, heading(title, margins)],
  };
}

/** At the left edge of the whole chart, not of its plot area. */
function heading(title: string, { left, top }: Margins) {
  return {
    type: "text",
    encode: {
      enter: {
        x: { value: 12 - left },
        y: { value: 24 - top },
        baseline: { value: "middle" },
        text: { value: title },
        fill: { value: LIGHT.ink },
        fontSize: { value: SIZE + 2 },
        fontWeight: { value: 600 },
      },
    },
  };
}

/** A scale of d3 for an axis. */
export function scaleOf(name: "x" | "y", { scale = "linear" }: Axis, domain: readonly number[]) {
  return { name, type: scale, domain, range: name === "x" ? "width" : "height", zero: false };
}

/** Multiples of powers of ten: the fewest that are enough ticks of a logarithmic axis. */
const LOG_TICKS = [[1], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [
  1,
  1.2,
  1.5,
  2,
  2.5,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
]];
const ENOUGH_TICKS = 3;

/** Vega labels some ticks of a logarithmic axis only: these are few, and all are labelled. */
export function logTicks(
  { scale, format = "~g" }: Axis,
  [low, high]: readonly [number, number],
): object {
  if (scale !== "log") return {};
  const decades = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, at) => 10 ** (Math.floor(Math.log10(low)) + at),
  );
  const ticks = LOG_TICKS.map((marks) =>
    decades.flatMap((decade) => marks.map((mark) => Number((mark * decade).toPrecision(3))))
      .filter((tick) => tick >= low && tick <= high)
  );
  const values = ticks.find(({ length }) => length >= ENOUGH_TICKS);
  return values ? { values, format, tickCount: values.length } : {};
}

export function xAxis({ title, format, scale }: Axis, more: object = {}) {
  const orient = { scale: "x", orient: "bottom", title, format };
  return { ...orient, tickCount: scale === "log" ? 5 : 8, labelFlush: true, ...more };
}

export function yAxis({ title, format, scale }: Axis, more: object = {}) {
  const grid = { grid: true, domain: false, ticks: false };
  return {
    scale: "y",
    orient: "left",
    title,
    format,
    // Where long numbers leave room for it.
    titleX: -58,
    tickCount: scale === "log" ? 4 : 6,
    ...grid,
    ...more,
  };
}

/** Moves places apart along a line so that neighbours keep a distance, each as little as may be. */
export function spread(places: readonly number[], distance: number, most: number): number[] {
  const order = places.map((_, at) => at).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  // Those that meet form a block, whose middle is that of their places.
  let blocks = order.map((at) => ({ items: [at], middle: places[at] }));
  for (let met = true; met;) {
    met = false;
    const next: typeof blocks = [];
    for (const block of blocks) {
      const before = next.at(-1);
      const apart = before && block.middle - before.middle;
      const needed = before && distance * (before.items.length + block.items.length) / 2;
      if (before && apart! < needed!) {
        const items = [...before.items, ...block.items];
        const half = distance * items.length / 2;
        const mean = items.reduce((sum, at) => sum + places[at], 0) / items.length;
        next[next.length - 1] = {
          items,
          middle: Math.min(Math.max(mean, half - distance / 2), most - half + distance / 2),
        };
        met = true;
      } else next.push(block);
    }
    blocks = next;
  }
  for (const { items, middle } of blocks) {
    for (const [index, at] of items.entries()) {
      moved[at] = middle + distance * (index - (items.length - 1) / 2);
    }
  }
  return moved;
}
