/**
 * The cards of a Linux machine, and how a process is given one of them. WebGPU has a word for neither;
 * Mesa's device selection, a layer that Vulkan's loader puts before every driver where it is installed
 * (mesa-vulkan-drivers), lists them and shows a process the one that its environment names
 * (https://docs.mesa3d.org/envvars.html#vulkan-mesa-device-select-layer-environment-variables).
 */

/** A card, or a processor that takes the place of one. */
export interface Card {
  readonly name: string;
  /** As Vulkan has it: `discrete GPU`, `integrated GPU`, `CPU`; the kernel does not know. */
  readonly kind?: string;
  /** PCI ids. */
  readonly vendor: number;
  readonly device: number;
  /** On the PCI bus: 0000:03:00.0. */
  readonly slot?: string;
}

/** What Mesa's device selection is told by. */
const SELECT = "MESA_VK_DEVICE_SELECT", PRIME = "DRI_PRIME";
const ONLY = "MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE";
const LIST = "list";

/** The environment variables that {@link environmentOf} sets. */
export const CARD_VARIABLES: readonly string[] = [SELECT, PRIME, ONLY];

/** Variables by which somebody chooses a card, or a driver, for a process. */
export const SELECTIONS: readonly string[] = [
  ...CARD_VARIABLES,
  "NVIDIA_VISIBLE_DEVICES",
  "VK_DRIVER_FILES",
  "VK_ICD_FILENAMES",
];

/** Whether somebody has. `all` cards are no choice: CUDA's images come with that. */
export function isSelected(read: (name: string) => string | undefined): boolean {
  return SELECTIONS.some((name) => !["", "all"].includes(read(name) ?? ""));
}

/** The environment of a process that prints the cards to stderr when it asks for one, and ends. */
export const LISTING: Readonly<Record<string, string>> = {
  [SELECT]: LIST,
  [ONLY]: "0",
  DENO_WEBGPU_BACKEND: "vulkan",
};

/**
 * Those that Vulkan knows, in its order; undefined where there is no device selection, or this process
 * may not start the one that asks: the layer ends a process once it has printed them.
 */
export async function vulkanCards(): Promise<Card[] | undefined> {
  const isGranted = (descriptor: Deno.PermissionDescriptor) =>
    Deno.permissions.querySync(descriptor).state === "granted";
  if (Deno.build.os !== "linux" || !isGranted({ name: "env", variable: SELECT })) return undefined;
  // This is the process that was asked.
  if (Deno.env.get(SELECT) === LIST) return undefined;
  const program = Deno.execPath();
  if (!isGranted({ name: "run", command: program })) return undefined;
  const { stderr } = await new Deno.Command(program, {
    // Either asks WebGPU for an adapter before anything else.
    args: Deno.build.standalone ? ["doctor"] : ["eval", "await navigator.gpu.requestAdapter()"],
    env: LISTING,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return parseCards(new TextDecoder().decode(stderr));
}

/** `  GPU 0: 1002:73a0 "Radeon RX 6800" discrete GPU 0000:03:00.0` for each. */
const LINE =
  /^ *GPU \d+: ([\da-f]+):([\da-f]+) "(.*)" (.*?)(?: ([\da-f]{4}:[\da-f]{2}:[\da-f]{2}\.\d))?$/;

/** What the layer prints; undefined if it printed nothing. */
export function parseCards(text: string): Card[] | undefined {
  const cards = text.split("\n").flatMap((line): Card[] => {
    const [found, vendor, device, name, kind, slot] = line.trimEnd().match(LINE) ?? [];
    if (!found) return [];
    return [{ name, kind, vendor: parseInt(vendor, 16), device: parseInt(device, 16), slot }];
  });
  return cards.length ? cards : undefined;
}

/** Display controllers on the PCI bus, as far as the kernel says; they have no names there. */
export function pciCards(root = "/sys/bus/pci/devices"): Card[] {
  if (Deno.build.os !== "linux") return [];
  try {
    const slots = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
    return slots.flatMap((slot): Card[] => {
      const [kind, vendor, device] = ["class", "vendor", "device"]
        .map((file) => Number(Deno.readTextFileSync(`${root}/${slot}/${file}`)));
      if (kind >> 16 !== 0x03) return [];
      return [{ name: `PCI ${idsOf({ vendor, device })}`, vendor, device, slot }];
    });
  } catch {
    return [];
  }
}

/** `1002:73a0` */
function idsOf({ vendor, device }: Pick<Card, "vendor" | "device">): string {
  return `${vendor.toString(16)}:${device.toString(16)}`;
}

/**
 * The environment of a process that is to see this card alone; of cards of a kind, by its slot. What is
 * undefined must not be set.
 */
export function environmentOf(
  card: Card,
  cards: readonly Card[],
): Record<string, string | undefined> {
  const isOnly = cards.filter((other) => idsOf(other) === idsOf(card)).length === 1;
  const byIds = isOnly || card.slot === undefined;
  return {
    [SELECT]: byIds ? idsOf(card) : undefined,
    [PRIME]: byIds ? undefined : `pci-${card.slot!.replace(/[:.]/g, "_")}`,
    [ONLY]: "1",
  };
}

/** `0: Radeon RX 6800 (discrete GPU, 0000:03:00.0)` for each. */
export function cardLines(cards: readonly Card[]): string[] {
  return cards.map(({ name, kind, slot }, index) => {
    const more = [kind, slot].filter((each) => each !== undefined).join(", ");
    return `${index}: ${name}${more ? ` (${more})` : ""}`;
  });
}

/**
 * The card that a process takes which is the `place`th of its machine: of those of the first card's
 * kind, since ranks of different kinds would not train one model. Undefined if that is one at most.
 */
export function dealtCard(cards: readonly Card[], place: number): Card | undefined {
  const real = cards.filter(({ kind }) => kind !== "CPU");
  const first = real.find(({ kind }) => kind === "discrete GPU") ?? real[0];
  const same = real.filter((card) => idsOf(card) === idsOf(first));
  return same.length > 1 ? same[place % same.length] : undefined;
}
