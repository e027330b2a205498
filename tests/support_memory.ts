/** This process's address space, which is the memory of a software adapter. */

/** Bytes of address space in use. */
export function addressSpace(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return 1024 * Number(/VmSize:\s+(\d+)/.exec(status)![1]);
}

/** Refuses the process more than so many bytes beyond what it has, until disposed of. */
export async function limitAddressSpace(bytes: number): Promise<AsyncDisposable> {
  const limit = async (soft: string) => {
    const args = ["--pid", `${Deno.pid}`, `--as=${soft}:`];
    const { success, stderr } = await new Deno.Command("prlimit", { args }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  await limit(`${addressSpace() + bytes}`);
  return { [Symbol.asyncDispose]: () => limit("unlimited") };
}
