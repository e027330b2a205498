/** Automatic accessibility checks: names of controls, contrast, order of headings. */
import type { Page } from "playwright-core";

/** Faults of the current page. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  return await page.evaluate(CHECKS);
}

/** Wider than the window: the page scrolls sideways. */
export async function sidewaysScroll(page: Page): Promise<number> {
  return await page.evaluate("document.documentElement.scrollWidth - innerWidth");
}

/** Runs in the page. WCAG 2.1: 1.3.1, 1.4.3 (4.5 to 1, 3 to 1 for large text), 3.3.2, 4.1.2. */
const CHECKS = `(() => {
  const faults = [];
  const visible = (element) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden";
  };
  const say = (element) =>
    "<" + element.tagName.toLowerCase() + (element.className ? " class=" + element.className : "") +
    "> " + (element.textContent || "").trim().slice(0, 40);
  const nameOf = (element) => {
    const by = element.getAttribute("aria-labelledby");
    if (by) return by.split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");
    return element.getAttribute("aria-label") ||
      [...(element.labels || [])].map((label) => label.textContent).join(" ") ||
      element.textContent || element.title;
  };
  const controls = "button, a[href], input, select, textarea, [role=img], [role=progressbar], " +
    "[role=log], [role=region], [tabindex='0'], dialog[open]";
  for (const element of document.querySelectorAll(controls)) {
    // What is not shown is not there for anybody.
    if (element.closest("[hidden]")) continue;
    if (!nameOf(element)?.trim()) faults.push("no name: " + say(element));
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push("id twice: " + id);
  for (const attribute of ["aria-controls", "aria-labelledby", "for"]) {
    for (const element of document.querySelectorAll("[" + attribute + "]")) {
      for (const id of element.getAttribute(attribute).split(" ")) {
        if (!document.getElementById(id)) faults.push(attribute + " of nothing: " + say(element));
      }
    }
  }
  if (document.querySelectorAll("main h1").length !== 1) faults.push("not one h1");
  let level = 1;
  for (const heading of document.querySelectorAll("main h1, main h2, main h3, main h4")) {
    if (!visible(heading)) continue;
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push("heading skips a level: " + say(heading));
    level = next;
  }
  // Any colour that CSS knows, as the canvas paints it.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  const groundOf = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [1, 1, 1]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !visible(element) || element.closest("option, :disabled, noscript")) continue;
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const ink = over(rgba(style.color), ground);
    const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) faults.push("contrast " + ratio.toFixed(2) + ": " + say(element));
  }
  return faults;
})()`;
