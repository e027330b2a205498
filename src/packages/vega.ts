/** Draws charts as SVG, without a DOM; see src/plot. */
// @ts-types="./vega.d.ts"
export { parse, View } from "npm:vega@^6.4.0";
