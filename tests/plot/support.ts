/** Drawn charts, as other libraries read them. */
import { decode } from "../packages/fast_png.ts";
import { DOMParser, type Element } from "../packages/xmldom.ts";

/** An element of an SVG. */
export interface SvgElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  /** The classes of the element around it, such as Vega's `mark-line role-mark`. */
  readonly within: string;
  /** All elements below it. */
  readonly all: readonly SvgElement[];
}

/** Throws if the text is no XML. */
export function parseXml(svg: string): SvgElement {
  const onError = (level: string, message: string) => {
    throw new Error(`${level}: ${message}`);
  };
  const root = new DOMParser({ onError }).parseFromString(svg, "image/svg+xml").documentElement!;
  return elementOf(root);
}

function elementOf(element: Element): SvgElement {
  const below = [...element.getElementsByTagName("*")].map((each) => ({ ...own(each), all: [] }));
  return { ...own(element), all: below };
}

function own(element: Element) {
  return {
    name: element.tagName,
    attributes: Object.fromEntries(
      [...element.attributes].map(({ name, value }) => [name, value]),
    ),
    text: element.textContent ?? "",
    within: (element.parentNode as Element | null)?.getAttribute?.("class") ?? "",
  };
}

/** The shapes that stand for data: lines, or the rectangles of bars and cells. */
export function marksOf({ all }: SvgElement, kind: "line" | "rect" | "symbol"): SvgElement[] {
  return all.filter(({ name, within }) =>
    name === "path" && within.includes(`mark-${kind}`) && within.includes("role-mark")
  );
}

/** What its text elements say, in order. */
export function textsOf({ all }: SvgElement): string[] {
  return all.filter(({ name }) => name === "text").map(({ text }) => text);
}

export function decodePng(png: Uint8Array) {
  const { width, height, channels, data } = decode(png);
  const pixel = (
    x: number,
    y: number,
  ) => [...data.subarray((y * width + x) * channels, (y * width + x + 1) * channels)];
  return {
    width,
    height,
    pixel,
    /** Different colours within a rectangle. */
    distinct(left: number, top: number, right: number, bottom: number): number {
      const found = new Set<string>();
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) found.add(String(pixel(x, y)));
      }
      return found.size;
    },
  };
}
