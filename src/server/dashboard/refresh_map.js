/** Subspace refreshes, binned by steps: which matrix, when, and how many were saved. */

/**
 * @typedef {object} RefreshMap
 * @property {{ parameter: string, layer: string, projection: string, total: number }[]} rows
 * @property {number[][]} counts refreshes by row and column
 * @property {number} stepsPerColumn
 * @property {number} columns
 * @property {number} most in one cell
 * @property {number} total
 */

/** `model.layers.3.self_attn.q_proj.weight` is `q_proj` of layer 3. @param {string} parameter */
export function placeOf(parameter) {
  const name = parameter.replace(/\.weight$/, "");
  const match = /layers\.(\d+)\.(?:.*\.)?([^.]+)$/.exec(name);
  return match ? { layer: match[1], projection: match[2] } : { layer: "", projection: name };
}

const ORDER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/**
 * @param {readonly import("./run_data.js").Refresh[]} refreshes
 * @param {number} columns
 * @param {number} stepsPerColumn
 * @returns {RefreshMap}
 */
export function refreshMap(refreshes, columns, stepsPerColumn) {
  const names = new Set(refreshes.flatMap(({ parameters }) => parameters));
  const rows = [...names].map((parameter) => ({ parameter, ...placeOf(parameter), total: 0 }));
  rows.sort((a, b) =>
    Number(a.layer || Infinity) - Number(b.layer || Infinity) ||
    ORDER.indexOf(a.projection) - ORDER.indexOf(b.projection) ||
    a.parameter.localeCompare(b.parameter)
  );
  const counts = rows.map(() => /** @type {number[]} */ (new Array(columns).fill(0)));
  const rowOf = new Map(rows.map(({ parameter }, row) => [parameter, row]));
  let most = 0;
  let total = 0;
  for (const { step, parameters } of refreshes) {
    const column = Math.min(columns - 1, Math.floor((step - 1) / stepsPerColumn));
    for (const parameter of parameters) {
      const row = /** @type {number} */ (rowOf.get(parameter));
      most = Math.max(most, ++counts[row][column]);
      rows[row].total++;
      total++;
    }
  }
  return { rows, counts, stepsPerColumn, columns, most, total };
}

/**
 * Refreshes at a fixed interval of `gap` steps.
 *
 * @param {number} matrices
 * @param {number} lastStep
 * @param {number} gap
 */
export function fixedInterval(matrices, lastStep, gap) {
  return lastStep ? matrices * (Math.floor((lastStep - 1) / gap) + 1) : 0;
}
