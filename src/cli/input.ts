/** Input from stdin: a piped text, or typed lines. */
import process from "node:process";
import { createInterface } from "node:readline";
import type { Input, InputLine } from "./command.ts";

export function terminalInput(): Input {
  // Latest first, as readline expects; recalled by the arrow keys.
  let history: string[] = [];
  return {
    interactive: Deno.stdin.isTerminal(),
    text: () => new Response(Deno.stdin.readable).text(),
    line: (prompt, signal) =>
      new Promise<InputLine>((resolve) => {
        // One interface per line: between lines the terminal must turn Ctrl-C into a signal again.
        const lines = createInterface({
          input: process.stdin,
          // stdout is for results.
          output: process.stderr,
          terminal: true,
          history: [...history],
        });
        const end = (line: InputLine) => {
          signal.removeEventListener("abort", stop);
          // The first event counts: closing emits one too.
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
