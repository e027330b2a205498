/**
 * Draws charts, for READMEs and reports: SVG that follows its reader's theme, and PNG of either theme.
 * Vega and resvg are loaded at the first chart: whoever draws none does not wait for them.
 *
 * @module
 */
import { escapeXml } from "../text.ts";
import { barSpec } from "./bars.ts";
import type { Chart } from "./chart.ts";
import { heatSpec } from "./heat.ts";
import { lineSpec } from "./lines.ts";
import { pointSpec } from "./points.ts";
import { adaptive, inDark } from "./theme.ts";

/** A drawn chart. */
export interface Drawing {
  /** Light or dark, as its reader prefers. */
  readonly svg: string;
  /** At twice its size in pixels. */
  png(theme: "light" | "dark"): Promise<Uint8Array<ArrayBuffer>>;
}

/** Draws a chart. */
export async function drawChart(chart: Chart): Promise<Drawing> {
  const { parse, View } = await import("../packages/vega.ts");
  const view = new View(parse(specOf(chart)), { renderer: "none" });
  const light = withName(await view.toSVG(), chart.title);
  view.finalize();
  return {
    svg: adaptive(light),
    async png(theme) {
      const { pixels } = await import("./pixels.ts");
      return await pixels(theme === "light" ? light : inDark(light));
    },
  };
}

function specOf(chart: Chart): object {
  switch (chart.type) {
    case "lines":
      return lineSpec(chart);
    case "points":
      return pointSpec(chart);
    case "bars":
      return barSpec(chart);
    case "heat":
      return heatSpec(chart);
  }
}

/** For readers that do not see it. */
function withName(svg: string, title: string): string {
  const name = escapeXml(title);
  return svg.replace("<svg ", `<svg role="img" aria-label="${name}" `);
}
