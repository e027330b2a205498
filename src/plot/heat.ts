/** Rows of cells whose colours are values. */
import type { HeatMap } from "./chart.ts";
import { extentOf, FONT, frame, WIDTH, widthOf, xAxis } from "./layout.ts";
import { LIGHT } from "./theme.ts";

/** Heights in pixels: of all rows together, and of one. */
const MOST = 360, LEAST_ROW = 4, MOST_ROW = 26;
/** Dark to light in either theme, and in grey. */
const COLOURS = "cividis";

export function heatSpec(chart: HeatMap): object {
  const { title, x, columns, rows, rowTitle, cells, value } = chart;
  const row = Math.min(MOST_ROW, Math.max(LEAST_ROW, MOST / Math.max(1, rows.length)));
  const height = row * Math.max(1, rows.length);
  const left = Math.max(...rows.map((name) => widthOf(name, 12)), 10) + 44, right = 110;
  const known = cells.flatMap(({ value }) => value === undefined ? [] : [value]);
  const xs = columns
    ? [0, columns.length]
    : x.domain ?? extentOf(cells.flatMap(({ from, to }) => [from, to]));
  const values = value.domain ?? extentOf(known);
  // A label for each row only where they do not overlap.
  const every = Math.ceil(15 / row);
  const width = WIDTH - left - right;
  return frame(title, { left, right, top: 52, bottom: 52 }, height, {
    data: [
      { name: "known", values: cells.filter(({ value }) => value !== undefined) },
      { name: "unknown", values: cells.filter(({ value }) => value === undefined) },
      { name: "texts", values: cells.filter(({ text }) => text !== undefined) },
    ],
    scales: [
      { name: "x", type: "linear", domain: xs, range: "width", zero: false, nice: false },
      { name: "y", type: "band", domain: rows, range: "height" },
      {
        name: "colour",
        type: "linear",
        domain: values,
        range: { scheme: COLOURS },
        zero: false,
        clamp: true,
      },
    ],
    axes: [
      columns
        ? xAxis(x, {
          values: columns.map((_, at) => at + 0.5),
          encode: { labels: { update: { text: { signal: labelSignal(columns) } } } },
          ticks: false,
          labelFlush: false,
        })
        : xAxis(x),
      {
        scale: "y",
        orient: "left",
        title: rowTitle,
        domain: false,
        ticks: false,
        values: rows.filter((_, at) => at % every === 0),
      },
    ],
    legends: [{
      fill: "colour",
      type: "gradient",
      title: value.title,
      format: value.format,
      orient: "none",
      legendX: width + 16,
      legendY: 0,
      gradientLength: Math.max(60, Math.min(160, height - 24)),
      titleColor: LIGHT.muted,
      titleFont: FONT,
      titleFontWeight: "normal",
      titleLimit: right - 16,
      labelColor: LIGHT.muted,
      labelFont: FONT,
      labelFontSize: 12,
    }],
    marks: [
      cellMarks("unknown", { value: LIGHT.missing }),
      cellMarks("known", { scale: "colour", field: "value" }),
      {
        type: "text",
        from: { data: "texts" },
        encode: {
          enter: {
            x: { signal: "(scale('x', datum.from) + scale('x', datum.to)) / 2" },
            y: { scale: "y", field: "row", band: 0.5 },
            align: { value: "center" },
            baseline: { value: "middle" },
            fontSize: { value: 12 },
            text: { field: "text" },
            // In both themes: what lies below has the same colour.
            fill: {
              signal: `isValid(datum.value) ? (datum.value > ${(values[0] + values[1]) / 2} ` +
                `? '#000000' : '#fdfdfd') : '${LIGHT.muted}'`,
            },
          },
        },
      },
    ],
  });
}

function cellMarks(data: string, fill: object) {
  return {
    type: "rect",
    clip: true,
    from: { data },
    encode: {
      enter: {
        x: { scale: "x", field: "from" },
        x2: { scale: "x", field: "to" },
        y: { scale: "y", field: "row" },
        height: { scale: "y", band: 1 },
        fill,
      },
    },
  };
}

function labelSignal(columns: readonly string[]): string {
  return `${JSON.stringify(columns)}[floor(datum.value)]`;
}
