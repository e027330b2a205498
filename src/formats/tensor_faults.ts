/** What keeps a file's tensors from being a model's parameters. */
import type { ParameterDescription } from "../model/description.ts";
import { isIntegerType } from "./element_types.ts";
import type { WeightFile } from "./weight_file.ts";

/** As many as help; the rest is counted. */
const SHOWN = 8;

/** A line for each parameter that is missing, of another shape or of integers. */
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

/** Names of the file's tensors that are no parameter's. */
export function strangers(
  file: Pick<WeightFile, "tensors">,
  parameters: readonly Pick<ParameterDescription, "name">[],
): string[] {
  const expected = new Set(parameters.map(({ name }) => name));
  return [...file.tensors.keys()].filter((name) => !expected.has(name));
}

/** A heading and the first of the faults, a line each. */
export function listFaults(heading: string, faults: readonly string[]): string {
  const more = faults.length - SHOWN;
  return [heading, ...faults.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])]
    .join("\n  ");
}
