import { UserError } from "../options/user_error.ts";

/** An operand whose shape or number format does not suit the operation. */
export class ShapeError extends UserError {
  override readonly name = "ShapeError";
}
