/** Memory of a run by purpose, as one bar against the limit. */
import { fill, h, setVars } from "./dom.js";
import { bytes, capital, words } from "./format.js";

const ORDER = [
  "weights",
  "quantisation_constants",
  "projections",
  "optimizer_state",
  "gradients",
  "activations",
  "workspace",
];

export function createPlanBar() {
  const bar = h("div", { class: "plan-bar", role: "img" });
  const legend = h("ul", { class: "plan-legend" });
  // Nothing to see, and no name, before there is a plan.
  const element = h("div", { class: "plan", hidden: true }, bar, legend);
  return {
    element,
    /**
     * @param {{ planned_peak_bytes: number, by_purpose?: Record<string, number> }} plan
     * @param {number | null} [limit]
     */
    show({ planned_peak_bytes, by_purpose = {} }, limit) {
      element.hidden = false;
      const purposes = Object.entries(by_purpose).filter(([, count]) => count > 0)
        .sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
      const sum = purposes.reduce((total, [, count]) => total + count, 0);
      const whole = Math.max(limit ?? 0, sum, planned_peak_bytes);
      fill(
        bar,
        purposes.map(([name, count]) => {
          const segment = h("span", { class: "plan-segment", "data-purpose": name });
          setVars(segment, { "--share": count / whole });
          return segment;
        }),
      );
      const over = limit !== undefined && limit !== null && planned_peak_bytes > limit;
      bar.classList.toggle("is-over", over);
      if (over && limit) {
        const line = h("span", { class: "plan-limit" });
        setVars(line, { "--at": limit / whole });
        bar.append(line);
      }
      bar.setAttribute(
        "aria-label",
        `${bytes(planned_peak_bytes)}${limit ? ` of ${bytes(limit)}` : ""}: ${
          purposes.map(([name, count]) => `${words(name)} ${bytes(count)}`).join(", ")
        }`,
      );
      fill(
        legend,
        purposes.map(([name, count]) =>
          h(
            "li",
            {},
            h("span", { class: "plan-key", "data-purpose": name }),
            h("span", {}, capital(words(name))),
            h("span", { class: "number" }, bytes(count)),
          )
        ),
      );
    },
  };
}
