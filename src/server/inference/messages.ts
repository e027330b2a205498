/**
 * The protocol between the server and the process of a model: one JSON object per line, the
 * server's on stdin, the process's on stdout. One request at a time; messages of a request after
 * its last reply (`more`, `abort`) are ignored.
 *
 * @module
 */
import type { GenerationEvent, GenerationRequest } from "../services.ts";

export type Question =
  /** The first message: answered by `loaded`, or by a `fault`. */
  | {
    readonly type: "load";
    readonly path: string;
    readonly adapter?: string;
    /** GiB; by default the machine's free memory, where the processor is the GPU. */
    readonly gpuMemory?: number;
  }
  /** Answered by `text`s and then by `done`, `aborted` or a `fault`. */
  | { readonly type: "generate"; readonly request: GenerationRequest }
  /** Permits one more `text` or `done`: flow control for slow readers. */
  | { readonly type: "more" }
  | { readonly type: "abort" };

export type Reply =
  | { readonly type: "loaded" }
  | GenerationEvent
  | { readonly type: "aborted" }
  | Fault;

export interface Fault {
  readonly type: "fault";
  readonly kind: FaultKind;
  readonly message: string;
  /** For programs, and the field at fault, where a client may react to it. */
  readonly code?: string;
  readonly param?: string;
}

/**
 * A fault of the request or the model; not enough memory; anything else, above all of the driver.
 */
export type FaultKind = "request" | "memory" | "internal";

/** Whether it is the last reply to a request. */
export function isLast(reply: Reply): boolean {
  return reply.type !== "loaded" && reply.type !== "text";
}
