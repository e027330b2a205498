/**
 * Stands in for a program made by `deno compile`, which needs a download: Deno says that it is one,
 * and the executable, `STAND_IN`, takes the program's arguments and none of Deno's.
 */
Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });
const executable = Deno.env.get("STAND_IN")!;
Deno.execPath = () => executable;

const { runProgram } = await import("../../src/cli/program.ts");
await runProgram(Deno.args);
