export { default } from "npm:uplot@^1.6.32/dist/uPlot.esm.js";
