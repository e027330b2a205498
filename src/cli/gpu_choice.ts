/** Which card a command opens: the one that `--gpu` names, or a rank's share of its machine's. */
import { type AdapterDescription, adapterName } from "../gpu/adapter.ts";
import {
  type Card,
  cardLines,
  dealtCard,
  environmentOf,
  isSelected,
  pciCards,
  vulkanCards,
} from "../host/cards.ts";
import { option, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { placeOnMachine, variable } from "../parallel/launch.ts";

/**
 * Tells the driver, which is not loaded yet, and those of child processes. A card that is not there is
 * a {@link UserError} with those that are.
 */
export async function chooseGpu(wanted: string): Promise<void> {
  const listed = await vulkanCards(), cards = listed ?? pciCards();
  const card = namedCard(wanted, cards);
  if (!listed && cards.length > 1) throw new UserError(CANNOT, HINT);
  choose(card, cards);
}

/**
 * Of a rank, unless its user has said which card it takes: the card of its place on the machine. Ranks
 * that are more than cards share them.
 */
export async function dealGpu(): Promise<void> {
  const place = placeOnMachine();
  if (place === undefined || isSelected(variable)) return;
  const cards = await vulkanCards() ?? [], card = dealtCard(cards, place);
  if (card) choose(card, cards);
}

/** By its index, or a part of its name that no other has: 4090 is no index. */
export function namedCard(wanted: string, cards: readonly Card[]): Card {
  const index = /^\d+$/.test(wanted) ? Number(wanted) : NaN;
  const found = index < cards.length
    ? [cards[index]]
    : cards.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  if (found.length === 1) return found[0];
  if (!cards.length) {
    throw new UserError(phrase`${option("gpu", wanted)}: ${CANNOT}`, HINT);
  }
  throw new UserError(
    phrase`${option("gpu", wanted)}: ${
      found.length ? "several cards have that in their name" : "there is no such card"
    }; this machine has ${cardLines(cards).join("; ")}`,
    "give the number of one, or a part of its name that no other has",
  );
}

const CANNOT = "this machine offers no choice of cards";
const HINT =
  "on Linux Mesa's device selection does, for cards of every vendor (Debian's mesa-vulkan-drivers), " +
  "which Deno must be allowed to run to list them (--allow-run); Macs have one card; on Windows " +
  "choose in its graphics settings";

let chosen: Card | undefined;

function choose(card: Card, cards: readonly Card[]): void {
  chosen = card;
  for (const [name, value] of Object.entries(environmentOf(card, cards))) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}

/** Throws unless the card that was opened is of the kind of the one that was chosen, if one was. */
export function assertChosen(
  opened: AdapterDescription,
  card: Pick<Card, "name" | "vendor" | "device"> | undefined = chosen,
): void {
  if (!card || Number(opened.vendor) === card.vendor && Number(opened.device) === card.device) {
    return;
  }
  throw new UserError(
    `${card.name} was chosen, and the driver has opened ${adapterName(opened)}`,
    HINT,
  );
}
