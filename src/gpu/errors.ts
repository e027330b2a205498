/** The errors a user meets. Each names the operation, the rule, the value and a hint. */

/** A fault the user can mend: shown as one message, without a stack trace. */
export class UserError extends Error {
  override readonly name: string = "UserError";
  readonly hint?: string;

  constructor(message: string, hint?: string) {
    super(hint ? `${message}\n  hint: ${hint}` : message);
    this.hint = hint;
  }
}

/** No adapter, a refused allocation, a lost device or a kernel that failed validation. */
export class GpuError extends UserError {
  override readonly name = "GpuError";
}

/** An operand whose shape or number format does not suit the operation. */
export class ShapeError extends UserError {
  override readonly name = "ShapeError";
}

/** What does not fit is refused before the first allocation. */
export class OutOfMemoryError extends UserError {
  override readonly name = "OutOfMemoryError";
}
