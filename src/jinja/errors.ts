/** What goes wrong in a template: at its reading, and at its rendering. */

/** The source is no valid template. */
export class TemplateSyntaxError extends Error {
  constructor(
    message: string,
    /** From 1. */
    readonly line: number,
  ) {
    super(message);
  }
}

/** Rendering failed, where Python would raise the exception `kind`. */
export class RenderError extends Error {
  constructor(readonly kind: ErrorKind, message: string) {
    super(message);
  }
}

export type ErrorKind =
  | "TypeError"
  | "ValueError"
  | "IndexError"
  | "KeyError"
  | "ZeroDivisionError"
  | "OverflowError"
  | "UndefinedError"
  | "SecurityError"
  | "FilterArgumentError"
  | "TemplateRuntimeError"
  /** Raised by the template itself, with `raise_exception`. */
  | "TemplateError";

export const typeError = (message: string) => new RenderError("TypeError", message);
export const valueError = (message: string) => new RenderError("ValueError", message);
