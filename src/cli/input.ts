/** What comes in by stdin: a text through a pipe, or lines that someone types. */
import process from "node:process";
import { createInterface } from "node:readline";
import type { Input, InputLine } from "./command.ts";

export function terminalInput(): Input {
  // The latest first, as readline wants them; arrows bring them back.
  let history: string[] = [];
  return {
    interactive: Deno.stdin.isTerminal(),
    text: () => new Response(Deno.stdin.readable).text(),
    line: (prompt, signal) =>
      new Promise<InputLine>((resolve) => {
        // One for each line: between two lines the terminal must turn Ctrl-C into a signal again.
        const lines = createInterface({
          input: process.stdin,
          // stdout is for results.
          output: process.stderr,
          terminal: true,
          history: [...history],
        });
        const end = (line: InputLine) => {
          signal.removeEventListener("abort", stop);
          // Whichever came first counts: closing is an event too.
          resolve(line);
          lines.close();
        };
        const stop = () => end({ type: "end" });
        signal.addEventListener("abort", stop);
        lines.on("SIGINT", () => {
          process.stderr.write("\n");
          end({ type: "interrupt" });
        });
        lines.on("close", stop);
        lines.question(prompt, (text) => {
          if (text.trim()) history = [text, ...history].slice(0, 100);
          end({ type: "line", text });
        });
      }),
  };
}
