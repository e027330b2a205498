/** Advice on errors that a command of this program or one of its tasks can resolve. */
import { DeviceLostError, NoAdapterError } from "../gpu/errors.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { explain, type UserError } from "../options/user_error.ts";
import { MissingKeyError } from "../server/http/exposure.ts";
import { PROGRAM } from "./help.ts";

/** An error for the command line: message and hint, with options as flags. */
export function advise(error: UserError): string {
  const { message, hint } = error.explanation;
  return explain({ message, hint: adviceFor(error) ?? hint }, FLAGS);
}

/** Deno's words for a missing permission, which messages quote. */
const DENIED = /(Requires \w+ access to (.+)), run again with the (--allow-\w+) flag/;

/** In place of a text that quotes Deno on a missing permission: one line on how to grant it. */
export function permissionAdvice(text: string): string | undefined {
  const line = text.split("\n").find((line) => DENIED.test(line));
  return line?.replace(DENIED, (_, needed, what, flag) => {
    // Files of devices and of /proc; the flag takes no value.
    if (flag === "--allow-all") return `${needed}: add ${flag}`;
    // Deno does not name a folder for temporary files.
    const value = what.startsWith('"') ? `=${what}` : "";
    // The list of -P has no library.
    const others = flag === "--allow-ffi" ? "" : `, or run it as \`${PROGRAM} …\``;
    return `${needed}: add ${flag}${value}${others}`;
  });
}

function adviceFor(error: UserError): Phrase | undefined {
  if (error instanceof NoAdapterError) {
    return "`deno task setup` installs a driver (on Debian, as root); `deno task doctor` gives details";
  }
  if (error instanceof MissingKeyError) {
    return `create one: ${PROGRAM} key --create NAME --data-folder "${error.dataFolder}"`;
  }
  if (error instanceof DeviceLostError) {
    return phrase`the driver was reset or the card unplugged; continue with ${
      option("resume", "auto")
    }`;
  }
}
