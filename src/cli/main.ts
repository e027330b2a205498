/** Runs a command line: finds the command, validates its options, renders errors. */
import { PRODUCT, VERSION } from "../product.ts";
import { kebabCase } from "../text.ts";
import { setHubDefaults } from "../hub/hub.ts";
import { explain, UserError } from "../options/user_error.ts";
import { nearestWord, OptionsError } from "../options/faults.ts";
import { FLAGS } from "../options/spelling.ts";
import { advise, permissionAdvice } from "./advice.ts";
import { bench } from "./bench.ts";
import { compareFinetune, comparePretrain } from "./compare.ts";
import { type Command, EXIT, type Input, type Io, NO_INPUT } from "./command.ts";
import { DownloadProgress } from "./download_progress.ts";
import { doctor } from "./doctor.ts";
import { dump } from "./dump.ts";
import { evaluate } from "./eval.ts";
import { exportModel } from "./export.ts";
import { finetune } from "./finetune.ts";
import { chooseGpu, dealGpu } from "./gpu_choice.ts";
import { type CommonFlags, parseFlags, readCommonFlags, takesNextWord } from "./flags.ts";
import { generate } from "./generate.ts";
import { commandHelp, overview, pageWidth, PROGRAM } from "./help.ts";
import { key } from "./key.ts";
import { memory } from "./memory.ts";
import { merge } from "./merge.ts";
import { pretrain } from "./pretrain.ts";
import { report as reportCommand } from "./report.ts";
import { serve } from "./serve.ts";
import { tokenizerTrain } from "./tokenizer_train.ts";
import { worker } from "./worker.ts";

export const COMMANDS: readonly Command[] = [
  pretrain,
  finetune,
  // Before the command whose name it begins with.
  compareFinetune,
  comparePretrain,
  reportCommand,
  evaluate,
  generate,
  tokenizerTrain,
  memory,
  merge,
  exportModel,
  dump,
  doctor,
  bench,
  serve,
  worker,
  key,
];

/** Where output goes, and what interrupts. */
export interface Terminal {
  stdout(line: string): void;
  /** To stdout, without a line break. */
  write(text: string): void;
  stderr(line: string): void;
  readonly interactive: boolean;
  /** Its width, where it is a terminal: help is wrapped to it. */
  readonly columns?: number;
  readonly signal: AbortSignal;
  /** Empty by default. */
  readonly input?: Input;
  /** See {@link Io.status}; without it there is no such line. */
  readonly status?: Io["status"];
  /** See {@link Io.takeInterrupts}; without it there are no interrupts. */
  readonly takeInterrupts?: Io["takeInterrupts"];
  /** See {@link Io.describeStop}. */
  readonly describeStop?: Io["describeStop"];
}

/** Runs a command line and returns its exit code; throws nothing. */
export async function main(
  args: readonly string[],
  terminal: Terminal,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  const [name] = args, page = pageWidth(terminal.columns);
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const asked = commandIn(args.slice(1), commands);
    const text = asked ? commandHelp(asked, page) : overview(commands, page);
    if (name !== undefined) terminal.stdout(text);
    else terminal.stderr(text);
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  if (name === "--version") {
    terminal.stdout(`${PRODUCT} ${VERSION}`);
    return EXIT.done;
  }
  const command = commandIn(args, commands);
  if (!command) {
    const nearest = nearestWord(name, commands.map((command) => command.name));
    const hint = nearest ? ` (did you mean ${nearest}?)` : "";
    terminal.stderr(`unknown command ${name}${hint}\n\`${PROGRAM} --help\` lists the commands`);
    return EXIT.usage;
  }
  const rest = inFlags(command, args.slice(wordsOf(command).length));
  const flags = readCommonFlags(rest);
  if (flags.help) {
    terminal.stdout(commandHelp(command, page));
    return EXIT.done;
  }
  return await runCommand(command, rest, flags, terminal);
}

/** The command that a command line begins with; its name may have several words. */
function commandIn(args: readonly string[], commands: readonly Command[]): Command | undefined {
  return commands.find((command) => wordsOf(command).every((word, at) => args[at] === word));
}

/** With the flag of a word that needs none: the first that is neither a flag nor the value of one. */
function inFlags({ positional, options }: Command, words: readonly string[]): readonly string[] {
  if (positional === undefined) return words;
  for (let at = 0; at < words.length && words[at] !== "--"; at++) {
    if (!words[at].startsWith("-")) return words.toSpliced(at, 0, `--${kebabCase(positional)}`);
    if (takesNextWord(options.fields, words[at])) at++;
  }
  return words;
}

function wordsOf({ name }: Command): string[] {
  return name.split(" ");
}

async function runCommand(
  command: Command,
  args: readonly string[],
  flags: CommonFlags,
  terminal: Terminal,
): Promise<number> {
  const io = createIo(flags, terminal, [...wordsOf(command), ...args]);
  const downloads = new DownloadProgress(io);
  setHubDefaults({ signal: io.signal, onProgress: (event) => downloads.handle(event) });
  try {
    let gpu: string | undefined;
    const options = await parseFlags(command.options, args, {
      onNote: (note) => io.log(`note: ${note}`),
      opensGpu: command.opensGpu,
      onGpu: (wanted) => gpu = wanted,
    });
    if (gpu !== undefined) await chooseGpu(gpu);
    else if (command.opensGpu) await dealGpu();
    const code = await command.run(options, io);
    return terminal.signal.aborted ? EXIT.interrupted : code;
  } catch (error) {
    if (error instanceof OptionsError) {
      const help = `\`${PROGRAM} ${command.name} --help\` lists the options`;
      return report(error, EXIT.usage, `${explain(error, FLAGS)}\n${help}`, io);
    }
    if (terminal.signal.aborted && (error as Error)?.name === "AbortError") {
      return EXIT.interrupted;
    }
    return report(error, EXIT.failed, describe(error, flags.verbose), io);
  } finally {
    downloads.stop();
  }
}

/**
 * A user error and a missing permission are one message; anything else is reported as an internal
 * error.
 */
function describe(error: unknown, verbose: boolean): string {
  const { name, stack } = error instanceof Error ? error : new Error(String(error));
  const text = messageOf(error);
  if (error instanceof UserError || error instanceof Deno.errors.NotCapable) {
    return verbose && stack ? `${text}\n${stack}` : text;
  }
  if (verbose) return stack ?? text;
  return `${name}: ${text}\n  hint: --verbose prints the stack trace`;
}

/** With `--json` results end with the error, so that they cannot be mistaken for complete. */
function report(error: unknown, code: number, text: string, io: Io): number {
  io.event({ type: "error", error: messageOf(error) });
  io.log(text);
  return code;
}

function messageOf(error: unknown): string {
  const text = error instanceof UserError
    ? advise(error)
    : (error as Error)?.message ?? String(error);
  return permissionAdvice(text) ?? text;
}

function createIo(
  { json, verbose }: CommonFlags,
  terminal: Terminal,
  args: readonly string[],
): Io {
  return {
    args,
    status: terminal.status ?? (() => {}),
    json,
    verbose,
    interactive: terminal.interactive,
    signal: terminal.signal,
    input: terminal.input ?? NO_INPUT,
    takeInterrupts: terminal.takeInterrupts ?? (() => () => {}),
    describeStop: terminal.describeStop ?? (() => () => {}),
    log: (line) => terminal.stderr(line),
    text: (piece) => {
      if (!json) terminal.write(piece);
    },
    result: (value, text) => terminal.stdout(json ? JSON.stringify(value) : text),
    event: (value) => {
      if (json) terminal.stdout(JSON.stringify(value));
    },
  };
}
