/** Icons of 16 by 16, drawn with strokes in the text colour. */

const PATHS = {
  plus: "M8 3.25v9.5M3.25 8h9.5",
  pause: "M5.75 3.5v9M10.25 3.5v9",
  play: "M5 3.25v9.5L12.5 8z",
  stop: "M4.5 4.5h7v7h-7z",
  cross: "M4 4l8 8M12 4l-8 8",
  check: "M3.5 8.5l3 3 6-7",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  back: "M9.75 3.5L5.25 8l4.5 4.5",
  chat: "M2.5 3.5h11v7.5H7.5L4.5 13.5V11h-2z",
  upload: "M8 10.5V3M4.75 6L8 2.75 11.25 6M2.75 10.5v2.75h10.5v-2.75",
  file: "M4 1.75h5l3 3v9.5H4zM9 1.75v3h3",
  again: "M12.75 6.5A5 5 0 1 0 13 9M13 3v3.5H9.5",
  send: "M8 13V3.5M3.75 7.5L8 3.25l4.25 4.25",
  settings:
    "M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6M10.25 3.25a1.75 1.75 0 1 1 0 3.5 1.75 1.75 0 0 1 0-3.5M5.75 9.25a1.75 1.75 0 1 1 0 3.5 1.75 1.75 0 0 1 0-3.5",
  warning: "M8 2.25l6.25 11.25H1.75zM8 6.5v3.25M8 11.5v.25",
  down: "M8 3v10M3.75 8.75L8 13l4.25-4.25",
};

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return /** @type {SVGSVGElement} */ (svg);
}

/** The logo: a falling curve. */
export function mark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", "M4.5 5.5c1.6 5.7 3.4 8.6 6 9 1.7.3 3.2.3 5 .3");
  svg.append(path);
  return svg;
}
