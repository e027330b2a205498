/** An instance of wasm/tokenizers.wasm, and how values pass to it and back. */
import module from "./wasm/module.js";

/** The exports of wasm/src/lib.rs and training.rs. */
export interface TokenizersModule {
  readonly memory: WebAssembly.Memory;
  allocate(length: number): number;
  load(address: number, length: number, unknown: number): number;
  add_tokens(address: number, length: number): number;
  encode(address: number, length: number, flags: number): number;
  decode(address: number, length: number, skipSpecial: number): number;
  vocab_size(): number;
  token_id(address: number, length: number): number;
  train_begin(address: number, length: number): number;
  train_count(address: number, length: number): number;
  train_end(address: number, length: number): number;
  ids(): number;
  count(): number;
  starts(): number;
  ends(): number;
  unknown(): number;
  text(): number;
  text_length(): number;
}

/** Called within `train_end`: a phase of the training, how much of it is done and how much it is. */
export type ReportPhase = (phase: string, done: number, total: number) => void | Promise<void>;

/** A promise from `report` suspends `train_end`, which must then be called through `suspending`. */
export function instantiate(report?: ReportPhase): TokenizersModule {
  const progress = (address: number, length: number, done: number, total: number) =>
    report?.(textAt(wasm, address, length), done, total);
  const imports = {
    host: { progress: report && Suspending ? new Suspending(progress) : progress },
  };
  const wasm = new WebAssembly.Instance(module, imports).exports as unknown as TokenizersModule;
  return wasm;
}

/** Of JavaScript Promise Integration, which TypeScript does not declare yet. */
type AnyFunction = (...values: number[]) => unknown;
const { Suspending, promising } = WebAssembly as {
  Suspending?: new (call: AnyFunction) => WebAssembly.ImportValue;
  promising?: (call: AnyFunction) => (...values: number[]) => Promise<number>;
};

/**
 * An export as a function that may be suspended. Where WebAssembly cannot be, it returns when it is
 * done, and ignores promises.
 */
export function suspending(
  call: (...values: number[]) => number,
): (...values: number[]) => number | Promise<number> {
  return promising?.(call) ?? call;
}

/** What ended an instance: a panic's message, or that its memory is full. */
export function reasonOf(wasm: TokenizersModule, error: WebAssembly.RuntimeError): string {
  const mebibytes = wasm.memory.buffer.byteLength / 2 ** 20;
  return readText(wasm) ||
    (mebibytes > 2048
      ? `it needs more memory than WebAssembly has (${Math.round(mebibytes)} MiB in use)`
      : error.message);
}

export function succeeded(wasm: TokenizersModule, status: number): void {
  if (status !== 0) throw new Error(readText(wasm));
}

export function words(
  wasm: TokenizersModule,
  address: number,
  count: number,
): Uint32Array<ArrayBuffer> {
  return new Uint32Array(wasm.memory.buffer as ArrayBuffer, address, count).slice();
}

export function readText(wasm: TokenizersModule): string {
  return textAt(wasm, wasm.text(), wasm.text_length());
}

function textAt({ memory }: TokenizersModule, address: number, length: number): string {
  const bytes = new Uint8Array(memory.buffer, address, length);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

export function passBytes(
  wasm: TokenizersModule,
  bytes: Uint8Array,
): [address: number, length: number] {
  const address = wasm.allocate(bytes.length);
  new Uint8Array(wasm.memory.buffer).set(bytes, address);
  return [address, bytes.length];
}

/** Halves of surrogate pairs become U+FFFD, as `TextEncoder` does; no other text has them. */
export function passText(wasm: TokenizersModule, text: string): [address: number, length: number] {
  return passBytes(wasm, new TextEncoder().encode(text));
}
