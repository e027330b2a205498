/** The part of C's strftime that chat templates use, in English and local time as in Python. */

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

const two = (value: number) => `${value}`.padStart(2, "0");

const CODES: Record<string, (date: Date) => string> = {
  "%": () => "%",
  A: (date) => DAYS[date.getDay()],
  a: (date) => DAYS[date.getDay()].slice(0, 3),
  B: (date) => MONTHS[date.getMonth()],
  b: (date) => MONTHS[date.getMonth()].slice(0, 3),
  d: (date) => two(date.getDate()),
  F: (date) => strftime(date, "%Y-%m-%d"),
  H: (date) => two(date.getHours()),
  I: (date) => two((date.getHours() + 11) % 12 + 1),
  M: (date) => two(date.getMinutes()),
  m: (date) => two(date.getMonth() + 1),
  p: (date) => date.getHours() < 12 ? "AM" : "PM",
  S: (date) => two(date.getSeconds()),
  T: (date) => strftime(date, "%H:%M:%S"),
  Y: (date) => `${date.getFullYear()}`,
  y: (date) => two(date.getFullYear() % 100),
};

/** Throws on an unsupported code, because the model would be trained on a guess. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)(.)/g, (code, bare, letter) => {
    const write = Object.hasOwn(CODES, letter) ? CODES[letter] : undefined;
    if (!write) throw new Error(`strftime_now: ${code} is not known`);
    return bare ? write(date).replace(/^0(?=\d)/, "") : write(date);
  });
}
