/** Views of activations for fewer tokens. */
import { type Tensor, viewAs } from "../gpu/tensor.ts";
import type { Activations } from "../model/activations.ts";

/**
 * The first `length` rows of everything; for batch size 1 only, because sequences are contiguous.
 */
export function activationRows(activations: Activations, length: number): Activations {
  const rows = (tensor: Tensor) => {
    const [first, ...rest] = tensor.shape;
    return viewAs(tensor, tensor.name, [first / activations.length * length, ...rest]);
  };
  return { ...mapTensors(activations, rows), length };
}

function mapTensors<T>(value: T, map: (tensor: Tensor) => Tensor): T {
  if (Array.isArray(value)) return value.map((each) => mapTensors(each, map)) as T;
  if (typeof value !== "object" || value === null) return value;
  if ("dtype" in value) return map(value as unknown as Tensor) as T;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, mapTensors(each, map)]),
  ) as T;
}
