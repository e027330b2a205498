/** Colours of the style sheet for canvas drawing, light and dark. */

/** @param {string} name without the dashes */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The colour with transparency. @param {string} name @param {number} alpha 0 to 1 */
export function tint(name, alpha) {
  return `color-mix(in srgb, ${colour(name)} ${Math.round(alpha * 100)}%, transparent)`;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** @param {() => void} listener @returns {() => void} ends it */
export function onThemeChanged(listener) {
  dark.addEventListener("change", listener);
  return () => dark.removeEventListener("change", listener);
}

export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
