/**
 * `deno task bench`: the command `bench`, or with `--peers` the comparison with other projects,
 * whose packages are of no use to the product.
 */
if (Deno.args.includes("--peers")) {
  const { benchPeers } = await import("./peers.ts");
  await benchPeers(Deno.args);
} else {
  const { runProgram } = await import("../../src/cli/program.ts");
  await runProgram(["bench", ...Deno.args]);
}
