/** The time as records and OpenAI's objects have it: whole seconds since 1970. */
export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
