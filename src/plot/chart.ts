/** Charts as data: what is shown, not how. */

/** An axis. */
export interface Axis {
  /** What it measures, with its unit. */
  readonly title: string;
  readonly scale?: "linear" | "log";
  /** Its ends; by default those of the data, with some room. Data beyond them are cut off. */
  readonly domain?: readonly [number, number];
  /** A format of d3-format for its ticks. */
  readonly format?: string;
}

/** A place on a line, with the range of what it is the mean of. */
export interface LinePoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

/** A line, named beside its end. */
export interface Line {
  readonly name: string;
  readonly points: readonly LinePoint[];
}

/** Lines over a common axis. */
export interface LineChart {
  readonly type: "lines";
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

/** Named points, each with its range if it is a mean. */
export interface PointChart {
  readonly type: "points";
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly points: readonly (LinePoint & { readonly name: string })[];
}

/** Bars of parts, one below the other. */
export interface BarChart {
  readonly type: "bars";
  readonly title: string;
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
  readonly row: string;
  readonly from: number;
  readonly to: number;
  /** Undefined if it is not known. */
  readonly value?: number;
  /** Written into the cell. */
  readonly text?: string;
}

/** Rows of cells whose colours are values. */
export interface HeatMap {
  readonly type: "heat";
  readonly title: string;
  readonly x: Axis;
  /** Names of columns of width 1, from 0, in place of numbers along the axis. */
  readonly columns?: readonly string[];
  readonly rows: readonly string[];
  /** What the rows are. */
  readonly rowTitle: string;
  readonly cells: readonly HeatCell[];
  /** Of the values: what they are, and their ends. */
  readonly value: Axis;
}

/** What {@link drawChart} draws. */
export type Chart = LineChart | PointChart | BarChart | HeatMap;
