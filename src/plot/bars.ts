/** Bars of parts, with a legend above and the sum of each at its end. */
import type { BarChart } from "./chart.ts";
import { FONT, frame, scaleOf, WIDTH, widthOf, xAxis } from "./layout.ts";
import { LIGHT } from "./theme.ts";

const ROW = 30, LEGEND_ROW = 20;

export function barSpec({ title, x, parts, bars }: BarChart): object {
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const left = Math.max(60, ...bars.map(({ name }) => widthOf(name))) + 20;
  const right = Math.max(20, ...bars.map(({ label }) => widthOf(label))) + 16;
  const { places, rows } = legendPlaces(parts, WIDTH - 24);
  const top = 46 + rows * LEGEND_ROW + 8;
  const cells = bars.flatMap(({ name, values }) => {
    let sum = 0;
    return values.map((value, part) => {
      const from = sum;
      sum += value;
      return { name, from, to: sum, colour: colourOf(part) };
    });
  }).filter(({ from, to }) => to > from);
  const domain = x.domain ?? [0, Math.max(...sums, 0) * 1.02 || 1];
  const legend = (encode: object, part: number, dx: number) => ({
    x: { value: places[part].x + dx - left + 12 },
    y: { value: 46 + places[part].row * LEGEND_ROW + LEGEND_ROW / 2 - top },
    ...encode,
  });
  return frame(title, { left, right, top, bottom: 52 }, Math.max(1, bars.length) * ROW, {
    data: [
      { name: "cells", values: cells },
      { name: "sums", values: bars.map(({ name, label }, at) => ({ name, label, sum: sums[at] })) },
    ],
    scales: [
      scaleOf("x", x, domain),
      {
        name: "y",
        type: "band",
        domain: bars.map(({ name }) => name),
        range: "height",
        padding: 0.28,
      },
    ],
    axes: [
      xAxis(x, { grid: true, domain: false, ticks: false }),
      {
        scale: "y",
        orient: "left",
        domain: false,
        ticks: false,
        labelColor: LIGHT.ink,
        labelFontSize: 13,
        labelPadding: 8,
        // There is room for the longest.
        labelLimit: 0,
      },
    ],
    marks: [
      {
        type: "rect",
        from: { data: "cells" },
        encode: {
          enter: {
            x: { scale: "x", field: "from" },
            x2: { scale: "x", field: "to" },
            y: { scale: "y", field: "name" },
            height: { scale: "y", band: 1 },
            fill: { field: "colour" },
            // A gap between neighbours whose colours are alike to some.
            stroke: { value: LIGHT.surface },
            strokeWidth: { value: 1 },
          },
        },
      },
      {
        type: "text",
        from: { data: "sums" },
        encode: {
          enter: {
            x: { scale: "x", field: "sum", offset: 6 },
            y: { scale: "y", field: "name", band: 0.5 },
            baseline: { value: "middle" },
            text: { field: "label" },
            fill: { value: LIGHT.ink },
          },
        },
      },
      ...parts.flatMap((name, part) => [
        {
          type: "symbol",
          encode: {
            enter: legend(
              {
                shape: { value: "square" },
                size: { value: 110 },
                fill: { value: colourOf(part) },
              },
              part,
              6,
            ),
          },
        },
        {
          type: "text",
          encode: {
            enter: legend(
              {
                text: { value: name },
                font: { value: FONT },
                fontSize: { value: 12 },
                baseline: { value: "middle" },
                fill: { value: LIGHT.muted },
              },
              part,
              16,
            ),
          },
        },
      ]),
    ],
  });
}

function colourOf(part: number): string {
  return LIGHT.series[part % LIGHT.series.length];
}

/** Where the names of parts stand in as many rows as they need. */
function legendPlaces(parts: readonly string[], width: number) {
  let x = 0, row = 0;
  const places = parts.map((name) => {
    const own = 16 + widthOf(name, 12) + 14;
    if (x > 0 && x + own > width) [x, row] = [0, row + 1];
    const place = { x, row };
    x += own;
    return place;
  });
  return { places, rows: parts.length ? row + 1 : 0 };
}
