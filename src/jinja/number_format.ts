/** Numbers with a presentation type and precision, as in `'%.2f' % x` and `'{:e}'.format(x)`. */
import { reprFloat } from "./repr.ts";

export interface NumberStyle {
  /** One of `eEfFgG%`; empty as `str` would, but with the precision. */
  readonly type: string;
  readonly precision?: number;
  /** `#`: keeps trailing zeros and the point. */
  readonly alternate?: boolean;
}

/** The magnitude of a float; its sign is written by the caller. */
export function formatFloat(value: number, { type, precision, alternate }: NumberStyle): string {
  const magnitude = Math.abs(value), upper = type === "E" || type === "F" || type === "G";
  const cased = (text: string) => upper ? text.toUpperCase() : text;
  if (!Number.isFinite(value)) {
    return cased(Number.isNaN(value) ? "nan" : "inf") + (type === "%" ? "%" : "");
  }
  switch (type.toLowerCase()) {
    case "f":
      return fixed(magnitude, precision ?? 6, alternate);
    case "%":
      return `${fixed(magnitude * 100, precision ?? 6, alternate)}%`;
    case "e":
      return cased(exponential(magnitude, precision ?? 6, alternate));
    case "g":
      return cased(general(magnitude, precision ?? 6, alternate ?? false));
    case "":
      if (precision === undefined) return reprFloat(magnitude);
      return withPoint(general(magnitude, precision, alternate ?? false, precision - 1));
  }
  throw new Error(`number format ${type} is not known`);
}

function fixed(value: number, precision: number, alternate = false): string {
  let text: string;
  if (value < 1e21) text = value.toFixed(Math.min(precision, 100));
  else text = BigInt(value).toString() + (precision ? `.${"0".repeat(precision)}` : "");
  return alternate && !text.includes(".") ? `${text}.` : text;
}

function exponential(value: number, precision: number, alternate = false): string {
  const [mantissa, power] = value.toExponential(Math.min(precision, 100)).split("e");
  const point = alternate && !mantissa.includes(".") ? "." : "";
  return `${mantissa}${point}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** C's `%g`: the shorter of the two, without trailing zeros. */
function general(value: number, digits: number, alternate: boolean, limit?: number): string {
  const precision = Math.max(1, digits);
  const power = value === 0 ? 0 : Number(value.toExponential(precision - 1).split("e")[1]);
  const trim = (text: string) =>
    alternate || !text.includes(".") ? text : text.replace(/\.?0+$/, "");
  if (power >= -4 && power < Math.max(1, limit ?? precision)) {
    return trim(fixed(value, Math.max(0, precision - 1 - power), alternate));
  }
  const [mantissa, exponent] = exponential(value, precision - 1, alternate).split("e");
  return `${trim(mantissa)}e${exponent}`;
}

function withPoint(text: string): string {
  return /^\d+$/.test(text) ? `${text}.0` : text;
}
