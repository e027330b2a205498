/** The server's handle on a process with one model on the GPU. */
import { ApiError } from "../api_error.ts";
import { jsonLine, linesOf, readJsonLines } from "../processes/lines.ts";
import { denoProcess, GPU_ENVIRONMENT } from "../processes/deno_process.ts";
import type { ServerLog } from "../server_log.ts";
import type { GenerationEvent, GenerationRequest, ModelRecord } from "../services.ts";
import { type FaultKind, isLast, type Question, type Reply } from "./messages.ts";

/** Events generated ahead of the reader. */
const AHEAD = 16;

export interface Generation {
  readonly events: ReadableStream<GenerationEvent>;
  /** Resolves when the process is ready for another request, or has ended. */
  readonly ended: Promise<void>;
}

export class ModelProcess {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: AsyncGenerator<Reply>;
  #ready = false;

  /** Starts the process; {@link load} loads the model. */
  constructor(readonly model: ModelRecord, log: ServerLog) {
    this.#child = spawn(model);
    this.#stdin = this.#child.stdin.getWriter();
    this.#replies = readJsonLines<Reply>(this.#child.stdout);
    void logLines(this.#child, model, log);
    this.#child.status.then(() => this.#ready = false);
  }

  /** Call this first, once. If it fails, the process ends and an ApiError says why. */
  async load(gpuMemory: number | undefined): Promise<void> {
    const { path, adapter } = this.model;
    this.#send({ type: "load", path, adapter, gpuMemory });
    const reply = await this.#next();
    if (reply?.type !== "loaded") {
      const fault = await this.#fault(reply);
      await this.end();
      throw fault;
    }
    this.#ready = true;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The model is loaded and can answer requests. */
  get ready(): boolean {
    return this.#ready;
  }

  /**
   * One at a time: the previous one must have `ended`. A reader that stalls for `stallMs` gets an
   * error.
   */
  generate(request: GenerationRequest, signal: AbortSignal, stallMs: number): Generation {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    let over = false, left = false;
    let reading: Promise<Reply | undefined> = Promise.resolve(undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = () =>
      reading = this.#next().then((reply) => {
        over = reply === undefined || isLast(reply);
        return reply;
      });
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    /** The reader is gone: do not generate the rest. */
    const abandon = async () => {
      if (left) return;
      left = true;
      clearTimeout(timer);
      this.#send({ type: "abort" });
      await reading;
      while (!over) await read();
      finish();
    };
    let fail: (reason: unknown) => void;
    const onAbort = () => {
      fail(signal.reason);
      abandon();
    };
    const events = new ReadableStream<GenerationEvent>({
      start: (controller) => {
        fail = (reason) => controller.error(reason);
        signal.addEventListener("abort", onAbort);
        this.#send({ type: "generate", request });
        if (signal.aborted) onAbort();
      },
      // Called whenever fewer than AHEAD events are buffered.
      pull: async (controller) => {
        clearTimeout(timer);
        this.#send({ type: "more" });
        const reply = await read();
        if (over) finish();
        if (left) return;
        if (reply?.type === "text" || reply?.type === "done") {
          controller.enqueue(reply);
          if (reply.type === "done") return controller.close();
          timer = setTimeout(() => {
            fail(stalled(stallMs));
            abandon();
          }, stallMs);
        } else {
          controller.error(await this.#fault(reply));
        }
      },
      cancel: abandon,
    }, { highWaterMark: AHEAD });
    return { events, ended };
  }

  /** Ends the process and releases the memory, immediately. */
  async end(): Promise<void> {
    this.#ready = false;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // The process has already ended.
    }
    await this.#stdin.abort().catch(() => {});
    while (!(await this.#replies.next()).done);
    await this.#child.status;
  }

  #send(question: Question): void {
    // A process that no longer reads is detected by its silence.
    this.#stdin.write(jsonLine(question)).catch(() => {});
  }

  /** Undefined when the process has ended. */
  async #next(): Promise<Reply | undefined> {
    const { value } = await this.#replies.next();
    const reply: Reply | undefined = value;
    // After such a fault the process ends.
    if (!reply || (reply.type === "fault" && reply.kind !== "request")) this.#ready = false;
    return reply;
  }

  async #fault(reply: Reply | undefined): Promise<ApiError> {
    if (reply?.type === "fault") {
      // Do not reveal the server's paths.
      const message = [this.model.path, this.model.adapter].reduce<string>(
        (text, path) => path ? text.replaceAll(path, this.model.name) : text,
        reply.message,
      );
      const { code, param, kind } = reply;
      if (code !== undefined) return new ApiError(400, { message, param, code });
      return new ApiError(...FAULTS[kind](`model ${this.model.name}: ${message}`));
    }
    const { signal, code } = await this.#child.status;
    return new ApiError(503, {
      message: `model ${this.model.name}: its process ended (${signal ?? `code ${code}`}); ` +
        "the next request starts another",
      type: "server_error",
      code: "model_crashed",
    });
  }
}

const FAULTS: Record<FaultKind, (message: string) => ConstructorParameters<typeof ApiError>> = {
  request: (message) => [400, { message }],
  memory: (message) => [503, { message, type: "server_error", code: "insufficient_memory" }],
  internal: (message) => [500, { message, type: "server_error", code: "model_failed" }],
};

function stalled(ms: number): ApiError {
  return new ApiError(408, {
    message: `the answer was not read for ${ms / 1000} s while others were waiting: ending it`,
    code: "reader_too_slow",
  });
}

/** What it writes to stderr: its own faults, and what its driver has to say. */
async function logLines(
  { stderr, pid }: Deno.ChildProcess,
  { name }: ModelRecord,
  log: ServerLog,
): Promise<void> {
  for await (const line of linesOf(stderr)) log.warn(line, { model: name, pid });
}

const PROGRAM = new URL("./worker.ts", import.meta.url).href;

/** With permission only to read the model and to open the GPU. */
function spawn({ path, adapter, reads = [] }: ModelRecord): Deno.ChildProcess {
  return denoProcess(PROGRAM, {
    read: [path, ...reads, ...(adapter === undefined ? [] : [adapter])],
    env: GPU_ENVIRONMENT,
    // For the free memory, where the processor is the GPU.
    sys: ["systemMemoryInfo"],
  }, { stdin: "piped" }).spawn();
}
