/** Charts as data: what is shown, not how. */

/** An axis. */
export interface Axis {
  /** What it measures, with its unit. */
  readonly title: string;
  /** Linear by default. */
  readonly scale?: "linear" | "log";
  /** Its ends; by default those of the data, with some room. Data beyond them are cut off. */
  readonly domain?: readonly [number, number];
  /** A format of d3-format for its ticks. */
  readonly format?: string;
}

/** A place on a line, with the range of what it is the mean of. */
export interface LinePoint {
  /** Along the horizontal axis. */
  readonly x: number;
  /** Along the vertical axis. */
  readonly y: number;
  /** Lower end of the range. */
  readonly low?: number;
  /** Upper end of the range. */
  readonly high?: number;
}

/** A line, named beside its end. */
export interface Line {
  /** Shown beside it. */
  readonly name: string;
  /** In the order of the line. */
  readonly points: readonly LinePoint[];
}

/** Lines over a common axis. */
export interface LineChart {
  /** Tells charts apart. */
  readonly type: "lines";
  /** Above the chart. */
  readonly title: string;
  /** The horizontal axis. */
  readonly x: Axis;
  /** The vertical axis. */
  readonly y: Axis;
  /** The first is drawn on top. */
  readonly lines: readonly Line[];
}

/** Named points, each with its range if it is a mean. */
export interface PointChart {
  /** Tells charts apart. */
  readonly type: "points";
  /** Above the chart. */
  readonly title: string;
  /** The horizontal axis. */
  readonly x: Axis;
  /** The vertical axis. */
  readonly y: Axis;
  /** Each with its name. */
  readonly points: readonly (LinePoint & { readonly name: string })[];
}

/** Bars of parts, one below the other. */
export interface BarChart {
  /** Tells charts apart. */
  readonly type: "bars";
  /** Above the chart. */
  readonly title: string;
  /** The horizontal axis. */
  readonly x: Axis;
  /** Names of the parts, in their order within a bar. */
  readonly parts: readonly string[];
  /** `values`: one for each part; `label` stands at the bar's end. */
  readonly bars: readonly {
    readonly name: string;
    readonly values: readonly number[];
    readonly label: string;
  }[];
}

/** A cell of a heat map: part of a row, `from` up to `to`. */
export interface HeatCell {
  /** One of `rows`. */
  readonly row: string;
  /** Where it begins. */
  readonly from: number;
  /** Where it ends. */
  readonly to: number;
  /** Undefined if it is not known. */
  readonly value?: number;
  /** Written into the cell. */
  readonly text?: string;
}

/** Rows of cells whose colours are values. */
export interface HeatMap {
  /** Tells charts apart. */
  readonly type: "heat";
  /** Above the chart. */
  readonly title: string;
  /** The horizontal axis. */
  readonly x: Axis;
  /** Names of columns of width 1, from 0, in place of numbers along the axis. */
  readonly columns?: readonly string[];
  /** From top to bottom. */
  readonly rows: readonly string[];
  /** What the rows are. */
  readonly rowTitle: string;
  /** What is not covered is empty. */
  readonly cells: readonly HeatCell[];
  /** Of the values: what they are, and their ends. */
  readonly value: Axis;
}

/** What {@link drawChart} draws. */
export type Chart = LineChart | PointChart | BarChart | HeatMap;
