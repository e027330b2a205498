/** Lines, each named beside its end. */
import type { LineChart } from "./chart.ts";
import {
  domainOf,
  extentOf,
  frame,
  HEIGHT,
  logTicks,
  placeOn,
  scaleOf,
  spread,
  widthOf,
  xAxis,
  yAxis,
} from "./layout.ts";
import { DASHES, LIGHT } from "./theme.ts";

const LABEL_DISTANCE = 16;

export function lineSpec({ title, x, y, lines }: LineChart): object {
  const drawn = lines.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
  })).filter(({ points }) => points.length);
  const all = drawn.flatMap(({ points }) => points);
  const xs = x.domain ?? extentOf(all.map(({ x }) => x));
  const ys = domainOf(y, all.flatMap(({ y, low = y, high = y }) => [low, y, high]));
  const named = drawn.length > 1;
  const longest = named ? Math.max(0, ...drawn.map(({ name }) => widthOf(name))) : 0;
  const margins = { left: 78, right: named ? longest + 24 : 24, top: 52, bottom: 52 };
  const placeY = placeOn(y, ys, HEIGHT);
  const ends = drawn.map(({ points }) => {
    const end = placeY(points.at(-1)!.y);
    return HEIGHT - Math.min(HEIGHT, Math.max(0, end));
  });
  const labels = spread(ends, LABEL_DISTANCE, HEIGHT);
  const colourOf = (at: number) => LIGHT.series[at % LIGHT.series.length];
  const dashOf = (at: number) => DASHES[Math.floor(at / LIGHT.series.length) % DASHES.length];
  const place = { x: { scale: "x", field: "x" } };
  // Line by line, so that the one named first is on top.
  const order = drawn.map((_, at) => at).reverse();
  return frame(title, margins, HEIGHT, {
    data: drawn.map(({ points }, at) => ({ name: `line${at}`, values: points })),
    scales: [scaleOf("x", x, xs), scaleOf("y", y, ys)],
    axes: [yAxis(y, logTicks(y, ys)), xAxis(x, logTicks(x, xs))],
    marks: [
      ...order.filter((at) => drawn[at].points.some(({ low }) => low !== undefined)).map((at) => ({
        type: "area",
        clip: true,
        from: { data: `line${at}` },
        encode: {
          enter: {
            ...place,
            y: { scale: "y", field: "low" },
            y2: { scale: "y", field: "high" },
            fill: { value: colourOf(at) },
            fillOpacity: { value: 0.16 },
          },
        },
      })),
      ...order.map((at) => ({
        type: "line",
        clip: true,
        from: { data: `line${at}` },
        encode: {
          enter: {
            ...place,
            y: { scale: "y", field: "y" },
            stroke: { value: colourOf(at) },
            strokeWidth: { value: 2 },
            strokeDash: { value: dashOf(at) },
            strokeJoin: { value: "round" },
          },
        },
      })),
      ...(named ? drawn : []).map(({ name }, at) => ({
        type: "text",
        encode: {
          enter: {
            x: { signal: "width", offset: 10 },
            y: { value: labels[at] },
            baseline: { value: "middle" },
            text: { value: name },
            fill: { value: colourOf(at) },
            fontWeight: { value: 600 },
          },
        },
      })),
    ],
  });
}
