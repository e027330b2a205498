/** Faults of a file's tensors as parameters of a model. */
import type { ParameterDescription } from "../model/description.ts";
import { isIntegerType } from "./element_types.ts";
import type { WeightFile } from "./weight_file.ts";

/** Number of faults listed; the rest are counted. */
const SHOWN = 8;

/** A line for each parameter that is missing, has another shape, or holds integers. */
export function parameterFaults(
  file: Pick<WeightFile, "tensors">,
  parameters: readonly Pick<ParameterDescription, "name" | "shape">[],
): string[] {
  return parameters.flatMap(({ name, shape }) => {
    const found = file.tensors.get(name);
    if (!found) return [`${name} is missing`];
    if (String(found.shape) !== String(shape)) {
      return [`${name} must be [${shape.join(", ")}], is [${found.shape.join(", ")}]`];
    }
    return isIntegerType(found.dtype)
      ? [`${name} must be of floating point, is ${found.dtype}`]
      : [];
  });
}

/** Names of the file's tensors that belong to no parameter. */
export function unexpectedTensors(
  file: Pick<WeightFile, "tensors">,
  parameters: readonly Pick<ParameterDescription, "name">[],
): string[] {
  const expected = new Set(parameters.map(({ name }) => name));
  return [...file.tensors.keys()].filter((name) => !expected.has(name));
}

/** A heading and the first faults, one per line. */
export function listFaults(heading: string, faults: readonly string[]): string {
  const more = faults.length - SHOWN;
  return [heading, ...faults.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])]
    .join("\n  ");
}
