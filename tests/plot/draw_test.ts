/** Charts, as a reader of XML and a decoder of PNG find them. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Chart, type LineChart } from "../../src/plot/chart.ts";
import { drawChart } from "../../src/plot/draw.ts";
import { spread } from "../../src/plot/layout.ts";
import { decodePng, marksOf, parseXml, textsOf } from "./support.ts";

/** 10 lines, more than there are colours, that fall from 5 to 2. */
const LINES: LineChart = {
  type: "lines",
  title: 'Loss <of> "ten" & more',
  x: { title: "step", domain: [0, 100] },
  y: { title: "loss", domain: [0, 10] },
  lines: Array.from({ length: 10 }, (_, at) => ({
    name: `method ${at}`,
    points: [0, 50, 100].map((x) => ({ x, y: 5 - 0.03 * x, low: 4 - 0.03 * x, high: 6 })),
  })),
};

Deno.test("a chart of lines has them all, where its axes say, each with a name, also in dark", async () => {
  const { svg, png } = await drawChart(LINES);
  const root = parseXml(svg);
  assertEquals(root.attributes["aria-label"], LINES.title);
  const lines = marksOf(root, "line");
  assertEquals(lines.length, 10);
  // With 8 colours, the last two are told apart by dashes.
  const looks = lines.map(({ attributes }) =>
    `${attributes.stroke} ${attributes["stroke-dasharray"] ?? ""}`
  );
  assertEquals(new Set(looks).size, 10);
  for (const at of Array(10).keys()) assert(textsOf(root).includes(`method ${at}`));
  // By the axis: 5, 3.5 and 2 of 10, on the height of the plot area.
  const area = root.all.find(({ attributes }) => attributes.class === "background")!;
  const [, height] = area.attributes.d.match(/h[\d.]+v([\d.]+)h-/)!;
  const ys = [...lines[0].attributes.d.matchAll(/[ML]-?[\d.]+,(-?[\d.]+)/g)].map(([, y]) => +y);
  assertEquals(ys.map((y) => Math.round(100 * (1 - y / Number(height)))), [50, 35, 20]);
  const light = await decodePng(await png("light")), dark = await decodePng(await png("dark"));
  assertEquals(light.width, 2 * Number(root.attributes.width));
  assertEquals([light.height, dark.height, dark.width], [
    2 * Number(root.attributes.height),
    light.height,
    light.width,
  ]);
  assertEquals([light.pixel(2, 2), dark.pixel(2, 2)], [[255, 255, 255, 255], [13, 17, 23, 255]]);
  // Texts are drawn, though no font is installed: ink in the area of the title.
  const ink = (image: typeof light) => image.distinct(24, 24, 400, 72);
  assert(ink(light) > 20 && ink(dark) > 20, `${ink(light)}, ${ink(dark)}`);
});

Deno.test("every tick of a logarithmic axis is labelled, with as few as tell its range", async () => {
  for (
    const [low, high, ticks] of [
      [0.9, 9, ["1", "2", "5"]],
      [0.001, 3000, ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]],
      [0.012, 0.2, ["0.02", "0.05", "0.1", "0.2"]],
    ] as const
  ) {
    const points = [{ x: 0, y: low }, { x: 1, y: high }];
    const y = { title: "norm", scale: "log" } as const;
    const { svg } = await drawChart({ ...LINES, y, lines: [{ name: "a", points }] });
    const texts = textsOf(parseXml(svg));
    assertEquals(texts.slice(0, texts.indexOf("norm")), [...ticks], `${low} to ${high}`);
  }
});

Deno.test("what is not finite is left out, and a chart of nothing is drawn", async () => {
  const points = [1, 2, NaN, 4].map((y, x) => ({ x, y }));
  const charts: Chart[] = [
    { ...LINES, lines: [{ name: "a", points }, { name: "b", points: [{ x: 1, y: Infinity }] }] },
    { ...LINES, x: { title: "" }, y: { title: "", scale: "log" }, lines: [] },
    { type: "points", title: "", x: LINES.x, y: LINES.y, points: [{ name: "a", x: 1, y: NaN }] },
    { type: "bars", title: "", x: { title: "" }, parts: [], bars: [] },
    {
      type: "heat",
      title: "",
      x: { title: "" },
      rows: [],
      rowTitle: "",
      cells: [],
      value: { title: "" },
    },
  ];
  for (const chart of charts) {
    const { svg } = await drawChart(chart);
    assert(!/NaN|undefined|Infinity/.test(svg), svg);
  }
});

Deno.test("bars are as long as their parts, heat maps have a cell each", async () => {
  const bars = await drawChart({
    type: "bars",
    title: "Memory",
    x: { title: "MiB", domain: [0, 100] },
    parts: ["weights", "states"],
    bars: [
      { name: "adamw", values: [25, 50], label: "75 MiB" },
      { name: "scale", values: [25, 0], label: "25 MiB" },
    ],
  });
  const rects = marksOf(parseXml(bars.svg), "rect")
    .map(({ attributes }) => Number(attributes.d.match(/h(-?[\d.]+)/)![1]));
  const [first, second, third] = rects;
  assertEquals(rects.length, 3);
  assert(Math.abs(second / first - 2) < 0.01 && Math.abs(third - first) < 0.01, `${rects}`);
  const heat = parseXml(
    (await drawChart({
      type: "heat",
      title: "",
      x: { title: "" },
      columns: ["q", "k"],
      rows: ["1", "2"],
      rowTitle: "layer",
      cells: ["1", "2"].flatMap((row) =>
        [0, 1].map((from) => ({ row, from, to: from + 1, value: from || undefined, text: "x" }))
      ),
      value: { title: "", domain: [0, 1] },
    })).svg,
  );
  const texts = textsOf(heat);
  assertEquals(texts.filter((text) => text === "x").length, 4);
  assert(texts.includes("q") && texts.includes("k"), `${texts}`);
});

Deno.test("labels that would meet are moved apart, and no further than they must", () => {
  assertEquals(spread([10, 100], 16, 300), [10, 100]);
  const moved = spread([100, 100, 104, 290, 300], 16, 300);
  assertNotEquals(moved, [100, 100, 104, 290, 300]);
  const order = moved.toSorted((a, b) => a - b);
  for (const [at, place] of order.slice(1).entries()) {
    assert(place - order[at] >= 15.99, `${moved}`);
  }
  assert(order[0] >= 0 && order.at(-1)! <= 300, `${moved}`);
});
