/** What an editor shows of options: asked of Deno's language server, as an editor asks it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";

const ROOT = new URL("../../", import.meta.url);
const PROGRAM = new URL("examples/a_program_in_an_editor.ts", ROOT).href;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

/** The language server, with one open program. */
class Editor {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #notified: ((message: Message) => void)[] = [];
  readonly #done: Promise<void>;
  #count = 0;
  #version = 0;

  constructor() {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["lsp", "--quiet"],
      cwd: fromFileUrl(ROOT),
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#done = this.#listen();
  }

  async open(): Promise<void> {
    await this.request("initialize", {
      processId: Deno.pid,
      rootUri: ROOT.href,
      workspaceFolders: [{ uri: ROOT.href, name: "trainer" }],
      capabilities: {
        textDocument: {
          completion: { completionItem: { documentationFormat: ["markdown"] } },
          hover: { contentFormat: ["markdown"] },
          publishDiagnostics: { versionSupport: true },
        },
      },
      initializationOptions: { enable: true },
    });
    await this.#send({ method: "initialized", params: {} });
  }

  /** Shows a program with `|` where the cursor is; gives its text and the cursor's place. */
  async show(program: string) {
    const before = program.slice(0, program.indexOf("|")).split("\n");
    const text = program.replace("|", ""), version = ++this.#version;
    const document = { uri: PROGRAM, languageId: "typescript", version };
    await this.#send(
      version === 1
        ? { method: "textDocument/didOpen", params: { textDocument: { ...document, text } } }
        : {
          method: "textDocument/didChange",
          params: { textDocument: document, contentChanges: [{ text }] },
        },
    );
    return {
      textDocument: { uri: PROGRAM },
      position: { line: before.length - 1, character: before.at(-1)!.length },
    };
  }

  /** The faults of the program shown last. */
  async faults(program: string): Promise<string[]> {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    this.#notified.push(({ method, params }) => {
      const { version, diagnostics } = params as {
        version?: number;
        diagnostics: { severity: number; source: string; message: string }[];
      };
      if (method !== "textDocument/publishDiagnostics" || version !== this.#version) return;
      const faults = diagnostics.filter(({ severity }) => severity === 1);
      if (faults.length) resolve(faults.map(({ message }) => message));
    });
    await this.show(program);
    return await promise;
  }

  request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#count;
    return new Promise((resolve) => {
      this.#waiting.set(id, ({ result }) => resolve(result));
      this.#send({ id, method, params });
    });
  }

  async close(): Promise<void> {
    await this.request("shutdown", null);
    await this.#send({ method: "exit" });
    await this.#writer.close();
    await this.#process.status;
    await this.#done;
  }

  async #send(message: Message): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", ...message }));
    await this.#writer.write(
      new TextEncoder().encode(`Content-Length: ${body.length}\r\n\r\n`),
    );
    await this.#writer.write(body);
  }

  async #listen(): Promise<void> {
    let text = "";
    // Lengths are those of bytes: what is not ASCII is one character for each byte here.
    const decoder = new TextDecoder("latin1");
    for await (const chunk of this.#process.stdout) {
      text += decoder.decode(chunk, { stream: true });
      for (;;) {
        const head = /^Content-Length: (\d+)\r\n(?:.*\r\n)*?\r\n/.exec(text);
        const end = head ? head[0].length + Number(head[1]) : Infinity;
        if (end > text.length) break;
        this.#take(JSON.parse(text.slice(head![0].length, end)));
        text = text.slice(end);
      }
    }
  }

  #take(message: Message): void {
    if (message.id !== undefined && message.method) {
      // A request of the server, as for its settings.
      const items = (message.params as { items?: unknown[] })?.items ?? [];
      this.#send({ id: message.id, result: items.map(() => ({ enable: true })) });
    } else if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
    } else for (const each of this.#notified) each(message);
  }
}

const program = (call: string) =>
  `import { finetuneOptions, Gpu, Trainer } from "../mod.ts";
const gpu = await Gpu.open();
const common = { model: "llama_nano", data: ["a.txt"], output: "run" };
export const made = ${call};
export { common, finetuneOptions, gpu, Trainer };
`;

Deno.test("an editor completes options, explains them and marks what is wrong", async () => {
  const editor = new Editor();
  const complete = async (call: string) => {
    const found = await editor.request("textDocument/completion", await editor.show(program(call)));
    return (found as { items: { label: string }[] }).items;
  };
  try {
    await editor.open();
    const options = await complete('Trainer.pretrain(gpu, { model: "llama_nano", acti| })');
    const item = options.find(({ label }) => label === "activationCheckpointing?");
    assert(item, options.map(({ label }) => label).join());
    assertStringIncludes(
      JSON.stringify(await editor.request("completionItem/resolve", item)),
      "Store one activation per layer and recompute the rest",
    );
    for (
      const [call, value] of [
        ['Trainer.pretrain(gpu, { ...common, model: "|" })', "llama_60m"],
        ['Trainer.pretrain(gpu, { ...common, optimizer: "|" })', "galore_adamw8bit"],
        ['finetuneOptions.parse({ ...common, template: "|" })', "chatml"],
      ]
    ) {
      const labels = (await complete(call)).map(({ label }) => label);
      assert(labels.includes(value), `${value} is not among ${labels.join()}`);
    }
    for (
      const [call, text] of [
        [
          "Trainer.pretrain(gpu, { ...common, war|mupSteps: 5 })",
          "Steps of linear warm-up from 0.",
        ],
        ["finetuneOptions.parse({ ...common, max|Samples: 5 })", "Use only the first n examples."],
      ]
    ) {
      const hover = await editor.request("textDocument/hover", await editor.show(program(call)));
      assertStringIncludes(JSON.stringify(hover), text);
    }
    for (
      const [call, fault] of [
        ["Trainer.pretrain(gpu, { ...common, stepz: 5 })|", 'NoSuchOption<"stepz">'],
        [
          'Trainer.pretrain(gpu, { ...common, steps: "five" })|',
          "Type 'string' is not assignable to type 'number'.",
        ],
      ]
    ) {
      const [message, ...others] = await editor.faults(program(call));
      assertStringIncludes(message, fault);
      assertEquals(others, []);
    }
  } finally {
    await editor.close();
  }
});
