/** Why a rank cannot go on though nothing failed in it. */
import { UserError } from "../options/user_error.ts";

/** Another rank has failed, or does not come: what went wrong is that one's to say, if it can. */
export class OtherRankError extends UserError {}
