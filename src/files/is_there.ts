/** Whether a path leads to something that can be looked at. */
export function isThere(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
