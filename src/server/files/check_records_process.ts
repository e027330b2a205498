/** The process that checks a file's records. */
import { programArguments } from "../processes/own_program.ts";
import { PURPOSES } from "../store/file_kinds.ts";
import { checkRecords } from "./check_records.ts";

const [path, filename, given, ending] = programArguments();
const purpose = PURPOSES.find((each) => each === given)!;
console.log(JSON.stringify(await checkRecords({ path, filename, ending, purpose })));
