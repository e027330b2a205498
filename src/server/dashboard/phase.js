/** What a running job does when it is not simply stepping: before its first step, and between. */
import { capital, percent, whole } from "./format.js";

/** `Evaluating · 40%`; empty while it steps. @param {import("./jobs.js").Job} job */
export function phaseOf({ status, preparation, activity, progress }) {
  if (status !== "running") return "";
  if (preparation) return line(preparation.what, farOf(preparation));
  if (activity && activity.phase !== "training") {
    return line(activity.phase, shareOf(activity));
  }
  if (activity?.part) {
    const { step, part, layer, layers, subspace, subspaces } = activity;
    const [what, far] = part === "refresh"
      ? ["refreshing subspaces", `${subspace} of ${subspaces}`]
      : [`${part} pass`, layer ? `layer ${layer} of ${layers}` : ""];
    return line(`step ${whole(step)}, ${what}`, far);
  }
  return progress?.step ? "" : "Preparing";
}

/** @param {string} what @param {string} far */
function line(what, far) {
  return capital(what) + (far && ` · ${far}`);
}

/** @param {{ share?: number | null, count?: number | null }} preparation */
function farOf({ share, count }) {
  if (share !== undefined && share !== null) return percent(share);
  return count ? whole(count) : "";
}

/** @param {{ done?: number, total?: number }} activity */
function shareOf({ done, total }) {
  return total ? percent((done ?? 0) / total) : "";
}
