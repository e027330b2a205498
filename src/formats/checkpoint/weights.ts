/**
 * A checkpoint's weights as files of weights have them: in the values of the model, or adapter, that
 * is saved from it, bit for bit. So a run that was stopped can be used as it is.
 */
import type { TensorReader } from "../../gpu/tensor.ts";
import { ADAPTER_PREFIX, type Parameter, wholeParameters } from "../../model/parameters.ts";
import { elementsOf } from "../../numbers/layout.ts";
import { unpackTensor } from "../../numbers/plain.ts";
import { UserError } from "../../options/user_error.ts";
import { type FloatType, fromFloat32, toFloat32 } from "../element_types.ts";
import { fileShape, isTransposed, transposed } from "../peft/layout.ts";
import { mergedValues, type ReadValues, valuesOf } from "../tensor_values.ts";
import type { WeightFile, WeightInfo } from "../weight_file.ts";
import type { CheckpointContents } from "./contents.ts";

/**
 * The model's weights, of which those that were not trained are read from `base`. Throws a {@link
 * UserError} if it is needed and not given.
 */
export function modelWeights(contents: CheckpointContents, base?: WeightFile): WeightFile {
  const { path, parameters, reader, dtype } = contents;
  const type = dtype === "float32" ? "F32" : "BF16";
  const entries = wholeParameters(parameters).map(({ parameter, adapter }) => {
    const { name, shape, weight, kept } = parameter, info = { name, shape, dtype: type };
    if (adapter) return [info, mergedValues(reader, parameter, adapter)] as const;
    if (kept) return [info, valuesOf(reader, weight)] as const;
    if (!base) {
      throw new UserError(
        `${path}: holds no ${name}, which was not trained, and does not say where it is`,
        "an earlier version of this program wrote it: resume the run, and use its next checkpoint",
      );
    }
    const read: ReadValues = (start, end) => base.readFloat32(name, start, end - start);
    return [info, read] as const;
  });
  return weightFile(contents, entries.map(([info, read]) => [info, rounded(type, read)]));
}

/** The adapters' weights, under peft's names. */
export function adapterWeights(contents: CheckpointContents): WeightFile {
  const { parameters, reader } = contents;
  const { all, embedding, head } = parameters;
  const entries = all.filter(({ kind }) => kind === "adapter")
    .map((parameter): [WeightInfo, ReadValues] => {
      const { name } = parameter;
      return [{ name, shape: fileShape(parameter), dtype: "F32" }, factor(reader, parameter)];
    });
  const wholes = { "model.embed_tokens": embedding, lm_head: head };
  if (embedding.trainable) {
    for (const [module, { shape, weight }] of Object.entries(wholes)) {
      const name = `${ADAPTER_PREFIX}${module}.weight`;
      entries.push([{ name, shape, dtype: "F32" }, valuesOf(reader, weight)]);
    }
  }
  return weightFile(contents, entries);
}

/** Closing the file closes the checkpoint. */
function weightFile(
  contents: CheckpointContents,
  entries: readonly (readonly [WeightInfo, ReadValues])[],
): WeightFile {
  const reads = new Map(entries.map(([{ name }, read]) => [name, read]));
  const tensors = new Map(entries.map(([info]) => [info.name, info]));
  return {
    path: contents.path,
    tensors,
    readFloat32: (name, start = 0, count = elementsOf(tensors.get(name)!) - start) =>
      reads.get(name)!(start, start + count),
    close: () => contents[Symbol.dispose](),
    [Symbol.dispose]: () => contents[Symbol.dispose](),
  };
}

/** As a file of that type has them. */
function rounded(type: FloatType, read: ReadValues): ReadValues {
  if (type === "F32") return read;
  return async (start, end) => toFloat32(type, fromFloat32(type, await read(start, end)));
}

/** In the layout of files. */
function factor(reader: TensorReader, parameter: Parameter): ReadValues {
  const { weight } = parameter;
  if (!isTransposed(parameter)) return valuesOf(reader, weight);
  return async (start, end) => {
    const values = unpackTensor(weight, await reader.read(weight));
    return transposed(values, parameter.shape[1]).slice(start, end);
  };
}
