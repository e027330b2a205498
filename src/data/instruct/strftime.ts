/** Python's strftime as on Linux, in English and for a local time without a zone. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAY_MS = 86_400_000;

/** A number with the width that it is padded to. */
type Field = readonly [value: number, width: number, pad?: "0" | " "];

const hour12 = (date: Date) => (date.getHours() + 11) % 12 + 1;
/** From 1; days of the calendar, whatever the length of a day in summer time. */
const dayOfYear = (date: Date) =>
  Math.round(
    (day(date.getFullYear(), date.getMonth(), date.getDate()) -
      day(date.getFullYear(), 0, 1)) / DAY_MS,
  ) + 1;
const day = (year: number, month: number, date: number) => Date.UTC(year, month, date);
/** Weeks that have begun this year, if they begin on that day (0 is Sunday). */
const week = (date: Date, first: number) =>
  Math.floor((dayOfYear(date) + 6 - (date.getDay() - first + 7) % 7) / 7);

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date);
  thursday.setDate(date.getDate() + 3 - (date.getDay() + 6) % 7);
  return { year: thursday.getFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) };
}

const CODES: Record<string, (date: Date) => string | Field> = {
  "%": () => "%",
  A: (date) => DAYS[date.getDay()],
  a: (date) => DAYS[date.getDay()].slice(0, 3),
  B: (date) => MONTHS[date.getMonth()],
  b: (date) => MONTHS[date.getMonth()].slice(0, 3),
  C: (date) => [Math.floor(date.getFullYear() / 100), 2],
  c: (date) => strftime(date, "%a %b %e %H:%M:%S %Y"),
  D: (date) => strftime(date, "%m/%d/%y"),
  d: (date) => [date.getDate(), 2],
  e: (date) => [date.getDate(), 2, " "],
  F: (date) => strftime(date, "%Y-%m-%d"),
  f: (date) => [date.getMilliseconds() * 1000, 6],
  G: (date) => [isoWeek(date).year, 4],
  g: (date) => [isoWeek(date).year % 100, 2],
  H: (date) => [date.getHours(), 2],
  h: (date) => strftime(date, "%b"),
  I: (date) => [hour12(date), 2],
  j: (date) => [dayOfYear(date), 3],
  k: (date) => [date.getHours(), 2, " "],
  l: (date) => [hour12(date), 2, " "],
  M: (date) => [date.getMinutes(), 2],
  m: (date) => [date.getMonth() + 1, 2],
  n: () => "\n",
  P: (date) => date.getHours() < 12 ? "am" : "pm",
  p: (date) => date.getHours() < 12 ? "AM" : "PM",
  R: (date) => strftime(date, "%H:%M"),
  r: (date) => strftime(date, "%I:%M:%S %p"),
  S: (date) => [date.getSeconds(), 2],
  s: (date) => [Math.floor(date.getTime() / 1000), 1],
  T: (date) => strftime(date, "%H:%M:%S"),
  t: () => "\t",
  U: (date) => [week(date, 0), 2],
  u: (date) => [(date.getDay() + 6) % 7 + 1, 1],
  V: (date) => [isoWeek(date).week, 2],
  W: (date) => [week(date, 1), 2],
  w: (date) => [date.getDay(), 1],
  X: (date) => strftime(date, "%H:%M:%S"),
  x: (date) => strftime(date, "%m/%d/%y"),
  Y: (date) => [date.getFullYear(), 1],
  y: (date) => [date.getFullYear() % 100, 2],
  Z: () => "",
  z: () => "",
};

/**
 * `-` before a letter writes a number without padding, `_` with spaces, `0` with zeros, `^` in
 * capitals. Throws on an unsupported code, because the model would be trained on a guess.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)([^])/g, (code, flag, letter) => {
    const write = Object.hasOwn(CODES, letter) ? CODES[letter] : undefined;
    if (!write || flag === "#") throw new Error(`strftime_now: ${code} is not known`);
    const field = write(date);
    if (typeof field === "string") return flag === "^" ? field.toUpperCase() : field;
    const [value, width, pad = "0"] = field;
    if (flag === "-") return `${value}`;
    return `${value}`.padStart(width, flag === "_" ? " " : flag === "0" ? "0" : pad);
  });
}
