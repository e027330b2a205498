// The server serves the package's own file under this name: browsers know no import map here.
// @ts-types="npm:uplot@^1.6.32"
export { default } from "uplot/dist/uPlot.esm.js";
