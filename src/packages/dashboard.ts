/** Packages of the dashboard, as text: the server sends them to the browser. */
export { default as eventsourceParserJs } from "npm:eventsource-parser@^3.1.0" with {
  type: "text",
};
export { default as uplotCss } from "npm:uplot@^1.6.32/dist/uPlot.min.css" with { type: "text" };
export { default as uplotJs } from "npm:uplot@^1.6.32/dist/uPlot.esm.js" with { type: "text" };
