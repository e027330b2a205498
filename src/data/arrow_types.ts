/** How the values of an Arrow file become JSON, by their types. */
import type * as Arrow from "../packages/apache_arrow.ts";
import { objectOf } from "../files/json_value.ts";
import {
  asIs,
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

type Module = typeof Arrow;

/** The converter of a column of that type. */
export function arrowConvert(arrow: Module, type: Arrow.DataType): Convert {
  const { DataType } = arrow;
  if (DataType.isInt(type)) return integer;
  if (DataType.isFloat(type)) return float;
  if (DataType.isDecimal(type)) return ofType(decimalOf(type));
  if (DataType.isDate(type)) return ofType((millis: number) => date(Math.floor(millis / DAY)));
  if (DataType.isTimestamp(type)) {
    const zoned = Boolean(type.timezone);
    return ofType((millis: number) => timestamp(BigInt(Math.round(millis * 1000)), zoned));
  }
  if (DataType.isTime(type)) {
    return ofType((value: number | bigint) => time(microsOf(BigInt(value), arrow, type.unit)));
  }
  if (
    DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type) ||
    DataType.isFixedSizeBinary(type)
  ) return binary;
  if (DataType.isDictionary(type)) return arrowConvert(arrow, type.dictionary);
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const item = arrowConvert(arrow, type.children[0].type);
    return ofType((values: Iterable<unknown>) => Array.from(values, item));
  }
  if (DataType.isStruct(type)) {
    const fields = type.children.map(({ name, type }) =>
      [name, arrowConvert(arrow, type)] as const
    );
    return ofType((row: Record<string, unknown>) =>
      objectOf(fields.map(([name, convert]) => [name, convert(row[name])] as const))
    );
  }
  if (DataType.isMap(type)) {
    const value = arrowConvert(arrow, type.children[0].type.children[1].type);
    return ofType((map: Iterable<[unknown, unknown]>) =>
      objectOf(Array.from(map, ([key, each]) => [String(key), value(each)] as const))
    );
  }
  return asIs;
}

const DAY = 86_400_000;

/** Four or eight words, least significant first. */
function decimalOf(type: Arrow.Decimal): (words: Uint32Array) => unknown {
  const digits = decimal(type.scale);
  return (words) => {
    const value = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
    return digits(BigInt.asIntN(32 * words.length, value));
  };
}

function microsOf(value: bigint, { TimeUnit }: Module, unit: Arrow.TimeUnit): bigint {
  switch (unit) {
    case TimeUnit.SECOND:
      return value * 1_000_000n;
    case TimeUnit.MILLISECOND:
      return value * 1000n;
    case TimeUnit.MICROSECOND:
      return value;
    default:
      return value / 1000n;
  }
}
