/** Types of the one function of `unbzip2-stream`: the package has none. */

import type { EventEmitter } from "node:events";
/** Decompresses bzip2, of several streams too; emits an error on anything else. */
export default function unbzip2(): EventEmitter & { write(chunk: Uint8Array): void; end(): void };
