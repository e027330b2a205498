/** Advice on errors that a command of this program or one of its tasks can resolve. */
import { DeviceLostError, NoAdapterError } from "../gpu/errors.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { explain, type UserError } from "../options/user_error.ts";

/** An error for the command line: message and hint, with options as flags. */
export function advise(error: UserError): string {
  const { message, hint } = error.explanation;
  return explain({ message, hint: adviceFor(error) ?? hint }, FLAGS);
}

function adviceFor(error: UserError): Phrase | undefined {
  if (error instanceof NoAdapterError) {
    return "`deno task setup` installs a driver (on Debian, as root); `deno task doctor` gives details";
  }
  if (error instanceof DeviceLostError) {
    return phrase`the driver was reset or the card unplugged; continue with ${
      option("resume", "auto")
    }`;
  }
}
