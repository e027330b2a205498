/** How the values of a Parquet file become JSON, by its schema. */
import { objectOf } from "../files/json_value.ts";
import type { ParquetParsers, SchemaElement, SchemaTree } from "../packages/hyparquet.ts";
import {
  asIs,
  bigEndian,
  binary,
  type Convert,
  date,
  decimal,
  float,
  integer,
  ofType,
  time,
  timestamp,
} from "./table_values.ts";

const decoder = new TextDecoder();

/** Passed to the package, in place of dates that would lose digits. */
export const PARSERS: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => millis * 1000n,
  timestampFromMicroseconds: (micros) => micros,
  timestampFromNanoseconds: (nanos) => nanos / 1000n,
  dateFromDays: (days) => days,
  jsonFromBytes: (bytes) => bytes && decoder.decode(bytes), // text, as in pyarrow
};

/**
 * The converter of a column. Decimals are unmarked in the schema, because the package would read
 * them as floating-point numbers.
 */
export function parquetConvert({ element, children }: SchemaTree): Convert {
  const { converted_type: kind, repetition_type: repetition } = element;
  const one = kind === "LIST" && children.length === 1
    ? listOf(children[0])
    : kind === "MAP" && children[0]?.children.length === 2
    ? mapOf(children[0])
    : children.length > 0
    ? structOf(children)
    : leaf(element);
  const repeated = repetition === "REPEATED";
  return repeated ? ofType((values: unknown[]) => Array.from(values, one)) : one;
}

/** The repeated group in a list is not part of its values if it has one child. */
function listOf(group: SchemaTree): Convert {
  const item = group.children.length === 1
    ? parquetConvert(group.children[0])
    : parquetConvert({ ...group, element: { ...group.element, repetition_type: "REQUIRED" } });
  return ofType((values: unknown[]) => Array.from(values, item));
}

function structOf(children: readonly SchemaTree[]): Convert {
  const fields = children.map((each) => [each.element.name, parquetConvert(each)] as const);
  return ofType((value: Record<string, unknown>) =>
    objectOf(fields.map(([name, convert]) => [name, convert(value[name])] as const))
  );
}

function mapOf(group: SchemaTree): Convert {
  const value = parquetConvert(group.children[1]);
  return ofType((map: Record<string, unknown>) =>
    objectOf(Object.entries(map).map(([key, each]) => [key, value(each)] as const))
  );
}

function leaf(element: SchemaElement): Convert {
  const { type, converted_type: kind, logical_type: logical } = element;
  if (kind === "DECIMAL" || logical?.type === "DECIMAL") {
    const scale = element.scale ?? (logical?.type === "DECIMAL" ? logical.scale : 0);
    delete element.converted_type;
    delete element.logical_type;
    const digits = decimal(scale);
    return ofType((value: number | bigint | Uint8Array) =>
      digits(value instanceof Uint8Array ? bigEndian(value) : BigInt(value))
    );
  }
  if (kind === "DATE") return ofType(date);
  if (kind?.startsWith("TIMESTAMP") || logical?.type === "TIMESTAMP" || type === "INT96") {
    const zoned = logical?.type === "TIMESTAMP" && logical.isAdjustedToUTC;
    return ofType((micros: bigint) => timestamp(micros, zoned));
  }
  if (kind?.startsWith("TIME_") || logical?.type === "TIME") {
    const unit = logical?.type === "TIME" ? logical.unit : kind?.slice("TIME_".length);
    return ofType((value: number | bigint) => time(microsOf(BigInt(value), unit)));
  }
  if (type === "FLOAT" || type === "DOUBLE" || logical?.type === "FLOAT16") return float;
  if (type === "INT32" || type === "INT64") return integer;
  if (kind === "UTF8" || kind === "ENUM" || kind === "JSON" || logical?.type === "STRING") {
    return ofType((value: string | Uint8Array) =>
      typeof value === "string" ? value : decoder.decode(value)
    );
  }
  const isBinary = type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY";
  return isBinary && logical?.type !== "UUID" ? binary : asIs;
}

function microsOf(value: bigint, unit: string | undefined): bigint {
  if (unit === "MILLIS") return value * 1000n;
  return unit === "NANOS" ? value / 1000n : value;
}
