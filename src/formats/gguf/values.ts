/** Typed values of a GGUF file's metadata, as `@huggingface/gguf` writes them. */
import { GGUFValueType, type MetadataValue } from "../../packages/huggingface_gguf.ts";

export interface TypedValue {
  readonly value: MetadataValue;
  readonly type: GGUFValueType;
  /** Type of the elements of a list. */
  readonly subType?: GGUFValueType;
}

export type KeyValues = Record<string, TypedValue>;

const { STRING, UINT32, INT32, FLOAT32, BOOL, ARRAY } = GGUFValueType;
const list = (values: readonly (string | number | boolean)[], subType: GGUFValueType) => ({
  value: [...values],
  type: ARRAY,
  subType,
});

/** Constructors of values of the types written here. */
export const value = {
  string: (value: string): TypedValue => ({ value, type: STRING }),
  uint32: (value: number): TypedValue => ({ value, type: UINT32 }),
  int32: (value: number): TypedValue => ({ value, type: INT32 }),
  float32: (value: number): TypedValue => ({ value, type: FLOAT32 }),
  flag: (value: boolean): TypedValue => ({ value, type: BOOL }),
  strings: (values: readonly string[]): TypedValue => list(values, STRING),
  int32s: (values: readonly number[]): TypedValue => list(values, INT32),
  float32s: (values: readonly number[]): TypedValue => list(values, FLOAT32),
  flags: (values: readonly boolean[]): TypedValue => list(values, BOOL),
} as const;
