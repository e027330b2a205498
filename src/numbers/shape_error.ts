import { UserError } from "../options/user_error.ts";

/** An operand whose shape or number format does not suit the operation. */
export class ShapeError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "ShapeError";
}
