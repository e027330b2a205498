/** Reads SVG as XML. */
export { DOMParser, type Element } from "npm:@xmldom/xmldom@^0.9.12";
