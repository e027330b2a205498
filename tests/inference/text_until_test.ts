import { assertEquals } from "@std/assert";
import { TextUntil } from "../../src/inference/text_until.ts";

for (
  const [pieces, expected] of [
    [["one ", "two"], ["one ", "two", ""]],
    [["one<", "/s", "> two", "three"], ["one", "", "", "", ""]],
    [["a<", "b<", "/", "c"], ["a", "<b", "", "</c", ""]],
    [["a<</s>b"], ["a<", ""]],
    [["a</s"], ["a", "</s"]],
  ] as const
) {
  Deno.test(`text until a mark: ${JSON.stringify(pieces)}`, () => {
    const until = new TextUntil("</s>");
    const shown: string[] = pieces.map((piece) => until.push(piece));
    assertEquals<readonly string[]>([...shown, until.flush()], expected);
    assertEquals(until.ended, pieces.join("").includes("</s>"));
  });
}

for (
  const [stops, pieces, expected] of [
    [["END", "\n\n"], ["a\n", "b\n", "\nE"], ["a", "\nb", "", ""]],
    [["END", "\n\n"], ["xE", "N", "D\n\n"], ["x", "", "", ""]],
    // The one that starts first, regardless of order.
    [["cd", "bc"], ["abcd"], ["a", ""]],
    [["stop", "top"], ["a s", "to"], ["a ", "", "sto"]],
    [["", "x"], ["ab", "xc"], ["ab", "", ""]],
    [[], ["ab", "c"], ["ab", "c", ""]],
  ] as const
) {
  Deno.test(`text until one of ${JSON.stringify(stops)}: ${JSON.stringify(pieces)}`, () => {
    const until = new TextUntil(...stops);
    const shown: string[] = pieces.map((piece) => until.push(piece));
    assertEquals<readonly string[]>([...shown, until.flush()], expected);
  });
}
