/**
 * What the server and the process of a model say to each other: a JSON object a line, the server's
 * on stdin, the process's on stdout. One request at a time; whatever comes after its last message
 * and belongs to it (`more`, `abort`) is ignored.
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
    /** GiB; by default what the machine has left, where the processor is the GPU. */
    readonly gpuMemory?: number;
  }
  /** Answered by `text`s and then by `done`, `aborted` or a `fault`. */
  | { readonly type: "generate"; readonly request: GenerationRequest }
  /** One more `text` or `done` may be sent: nobody is sent what they do not read. */
  | { readonly type: "more" }
  | { readonly type: "abort" };

export type Reply =
  | { readonly type: "loaded" }
  | GenerationEvent
  | { readonly type: "aborted" }
  | { readonly type: "fault"; readonly kind: FaultKind; readonly message: string };

/** The request's or the model's; more memory than there is; anything else, the driver's above all. */
export type FaultKind = "request" | "memory" | "internal";

/** Whether nothing more comes after it. */
export function isLast(reply: Reply): boolean {
  return reply.type !== "loaded" && reply.type !== "text";
}
