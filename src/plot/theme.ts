/**
 * Colours in light and dark. A chart is drawn in the light ones; those of the dark theme take their
 * places, colour by colour, so that both show the same. Each colour has one use for that reason.
 */

/** The colours of a theme. */
interface Theme {
  readonly surface: string;
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  /** Where a value is not known. */
  readonly missing: string;
  /**
   * Of series, in order: told apart with any kind of colour vision by hue or lightness, at least 3:1
   * against the surface. Series beyond their number repeat them with other dashes.
   */
  readonly series: readonly string[];
}

export const LIGHT: Theme = {
  surface: "#ffffff",
  ink: "#1c2128",
  muted: "#59636e",
  grid: "#e3e6ea",
  missing: "#eceef1",
  series: ["#0059b3", "#d1570a", "#00875a", "#a3238e", "#6b5900", "#0d8fa8", "#6a6f78", "#7d1a2c"],
};

export const DARK: Theme = {
  surface: "#0d1117",
  ink: "#e8edf2",
  muted: "#9aa4af",
  grid: "#2a313a",
  missing: "#1d232b",
  series: ["#6cb2ff", "#ff9f57", "#4ed6a3", "#f08ae0", "#e3cb5a", "#5edcf2", "#b9bfc9", "#ff8e9f"],
};

/** Dashes of the second and third round of colours. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 3]];

const colours = (theme: Theme) => {
  const { series, ...others } = theme;
  return [...Object.values(others) as string[], ...series];
};
const PAIRS = colours(LIGHT).map((light, at) => [light, colours(DARK)[at]] as const);

/** An SVG of the light theme in the dark one. */
export function inDark(svg: string): string {
  return svg.replace(
    /#[0-9a-f]{6}/gi,
    (colour) => PAIRS.find(([light]) => light === colour.toLowerCase())?.[1] ?? colour,
  );
}

/** An SVG that follows its reader's theme, and is light where that is not known. */
export function adaptive(svg: string): string {
  const rules = PAIRS.flatMap(([light, dark]) =>
    ["fill", "stroke"].map((name) => `[${name}="${light}"]{${name}:${dark}}`)
  );
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
  return svg.replace(/<svg[^>]*>/, (tag) => tag + style);
}
