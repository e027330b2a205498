/** Named points in a plane. */
import type { PointChart } from "./chart.ts";
import {
  domainOf,
  frame,
  HEIGHT,
  logTicks,
  placeOn,
  scaleOf,
  WIDTH,
  widthOf,
  xAxis,
  yAxis,
} from "./layout.ts";
import { LIGHT } from "./theme.ts";

const MARGINS = { left: 78, right: 28, top: 52, bottom: 52 };
/** Height of a label, and its distance from its point. */
const TALL = 16, GAP = 9;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export function pointSpec({ title, x, y, points }: PointChart): object {
  const known = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const width = WIDTH - MARGINS.left - MARGINS.right;
  const xs = domainOf(x, known.map(({ x }) => x));
  const ys = domainOf(y, known.flatMap(({ y, low = y, high = y }) => [low, y, high]));
  const placeX = placeOn(x, xs, width), placeY = placeOn(y, ys, HEIGHT);
  const placed = known.map(({ name, x, y }) => ({
    name,
    x: placeX(x),
    y: HEIGHT - placeY(y),
    width: widthOf(name),
  }));
  const labels = labelPlaces(placed, width);
  const colour = (at: number) => LIGHT.series[at % LIGHT.series.length];
  const values = known.map((point, at) => ({ ...point, colour: colour(at) }));
  const at = { x: { scale: "x", field: "x" } };
  return frame(title, MARGINS, HEIGHT, {
    data: [{ name: "points", values }, {
      name: "ranges",
      values: values.filter(({ low }) => low !== undefined),
    }],
    scales: [scaleOf("x", x, xs), scaleOf("y", y, ys)],
    axes: [yAxis(y, logTicks(y, ys)), xAxis(x, logTicks(x, xs))],
    marks: [
      {
        type: "rule",
        from: { data: "ranges" },
        encode: {
          enter: {
            ...at,
            y: { scale: "y", field: "low" },
            y2: { scale: "y", field: "high" },
            stroke: { field: "colour" },
            strokeWidth: { value: 2 },
          },
        },
      },
      {
        type: "symbol",
        from: { data: "points" },
        encode: {
          enter: {
            ...at,
            y: { scale: "y", field: "y" },
            fill: { field: "colour" },
            size: { value: 90 },
          },
        },
      },
      ...placed.map(({ name }, index) => ({
        type: "text",
        encode: {
          enter: {
            x: { value: labels[index].anchor },
            y: { value: labels[index].y },
            align: { value: labels[index].align },
            baseline: { value: "middle" },
            text: { value: name },
            fill: { value: colour(index) },
            fontWeight: { value: 600 },
          },
        },
      })),
    ],
  });
}

/** Where a label is, and how: a text's width is only known roughly, the side at its point exactly. */
interface Label extends Box {
  readonly anchor: number;
  readonly align: "left" | "center" | "right";
}

/** To the right of their points, or where there is room. */
function labelPlaces(points: readonly (Box & { readonly name: string })[], width: number): Label[] {
  const taken: Box[] = points.map(({ x, y }) => ({ x: x - GAP / 2, y, width: GAP }));
  const apart = (a: Box, b: Box) =>
    Math.abs(a.y - b.y) >= TALL || a.x + a.width <= b.x || b.x + b.width <= a.x;
  const inside = (box: Box) =>
    box.x >= 0 && box.x + box.width <= width && box.y > TALL / 2 && box.y < HEIGHT - TALL / 2;
  return points.map((point) => {
    const { x, y, width: own } = point;
    const right = { x: x + GAP, anchor: x + GAP, align: "left" } as const;
    const left = { x: x - GAP - own, anchor: x - GAP, align: "right" } as const;
    const centre = { x: x - own / 2, anchor: x, align: "center" } as const;
    const rows = [0, 0.3, -0.3, 0.6, -0.6, 1, -1, 1.7, -1.7, 2.6, -2.6, 3.5, -3.5];
    const places = rows.flatMap((row) =>
      (Math.abs(row) < 1 ? [right, left] : [right, centre, left]).map((side) => ({
        ...side,
        y: y + row * TALL,
        width: own,
      }))
    );
    const place = places.find((box) => inside(box) && taken.every((other) => apart(box, other))) ??
      places.find(inside) ?? places[0];
    taken.push(place);
    return place;
  });
}
