/** How many examples are held out, where a number is asked for and not a share. */
import { UserError } from "../../options/user_error.ts";
import { option, phrase } from "../../options/phrase.ts";
import { hashText } from "../random.ts";
import { contentOf } from "./example.ts";
import { type ExampleData, examplesOf, exampleSources, listSources } from "./sources.ts";
import { type InstructOptions, sourceOf } from "./stream.ts";

/**
 * The share that holds out this many examples: examples are held out by the hash of their content,
 * so it is the share below which that many hashes are. Equal examples stay together. Throws a {@link
 * UserError} if the data has too few.
 */
export async function shareOf(
  count: number,
  data: ExampleData,
  options: Pick<InstructOptions, "format" | "maxSamples">,
): Promise<number> {
  const listed = await listSources(exampleSources(data).map((each) => sourceOf(each, options)));
  const hashes: number[] = [];
  // What is wrong with a record is reported when it is encoded.
  for await (const example of examplesOf(listed, () => {})) {
    hashes.push(hashText(contentOf(example)));
  }
  if (count > hashes.length / 2) {
    throw new UserError(
      phrase`${
        option("evalShare", count)
      } holds out more than half of the ${hashes.length} examples`,
      "hold out fewer, or give evaluation data of its own",
    );
  }
  return Uint32Array.from(hashes).sort()[count] / 2 ** 32;
}
