/** The cards of a machine, and which of them a process is given. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { assertChosen, namedCard } from "../../src/cli/gpu_choice.ts";
import {
  dealtCard,
  environmentOf,
  isSelected,
  parseCards,
  pciCards,
} from "../../src/host/cards.ts";
import { UserError } from "../../src/options/user_error.ts";
import { placeOnMachine } from "../../src/parallel/launch.ts";

/** As Mesa 22.3 prints it. */
const LISTED = parseCards(`selectable devices:
  GPU 0: 1002:73a0 "AMD Radeon RX 6900 XT (RADV NAVI21)" discrete GPU 0000:03:00.0
  GPU 1: 1002:73a0 "AMD Radeon RX 6900 XT (RADV NAVI21)" discrete GPU 0000:0a:00.0
  GPU 2: 8086:4680 "Intel(R) UHD Graphics 770 (ADL-S GT1)" integrated GPU 0000:00:02.0
  GPU 3: 10005:0 "llvmpipe (LLVM 15.0.6, 256 bits)" CPU
`)!;

Deno.test("a card is chosen by its number, or by what no other has in its name", () => {
  assertEquals(namedCard("1", LISTED).slot, "0000:0a:00.0");
  assertEquals(namedCard("intel", LISTED), {
    name: "Intel(R) UHD Graphics 770 (ADL-S GT1)",
    kind: "integrated GPU",
    vendor: 0x8086,
    device: 0x4680,
    slot: "0000:00:02.0",
  });
  const refused = (wanted: string, cards = LISTED) =>
    assertThrows(() => namedCard(wanted, cards), UserError).message;
  assertEquals(
    refused("4"),
    'gpu: "4": there is no such card; this machine has ' +
      "0: AMD Radeon RX 6900 XT (RADV NAVI21) (discrete GPU, 0000:03:00.0); " +
      "1: AMD Radeon RX 6900 XT (RADV NAVI21) (discrete GPU, 0000:0a:00.0); " +
      "2: Intel(R) UHD Graphics 770 (ADL-S GT1) (integrated GPU, 0000:00:02.0); " +
      "3: llvmpipe (LLVM 15.0.6, 256 bits) (CPU)",
  );
  assertStringIncludes(refused("radeon"), "several cards have that in their name");
  assertStringIncludes(refused("0", []), "this machine offers no choice of cards");
  assertEquals(parseCards("error: no Vulkan"), undefined);
  // A number that is no index is a part of a name.
  assertEquals(namedCard("770", LISTED).slot, "0000:00:02.0");
});

Deno.test("the driver is told by ids, or of two cards of a kind by the slot", () => {
  const of = (index: number) => Object.values(environmentOf(LISTED[index], LISTED));
  assertEquals(of(2), ["8086:4680", undefined, "1"]);
  assertEquals(of(1), [undefined, "pci-0000_0a_00_0", "1"]);
});

Deno.test("whoever sets a variable has chosen, but not by NVIDIA's `all`", () => {
  const told = (variables: Record<string, string>) => isSelected((name) => variables[name]);
  assertEquals(told({ PATH: "/bin", NVIDIA_VISIBLE_DEVICES: "all", DRI_PRIME: "" }), false);
  for (const name of ["NVIDIA_VISIBLE_DEVICES", "DRI_PRIME", "VK_DRIVER_FILES"]) {
    assertEquals(told({ [name]: "1" }), true);
  }
});

Deno.test("another model of card than was chosen is refused", () => {
  const opened = { vendor: "4098", device: "29600", description: "AMD Radeon RX 6900 XT" };
  const described = { ...opened, architecture: "", software: false, features: [] };
  assertChosen(described, undefined);
  assertChosen(described, LISTED[1]);
  assertThrows(
    () => assertChosen(described, LISTED[2]),
    UserError,
    "Intel(R) UHD Graphics 770 (ADL-S GT1) was chosen, and the driver has opened AMD Radeon RX 6900 XT",
  );
});

Deno.test("ranks of a machine are dealt its cards of one kind", () => {
  const slots = [0, 1, 2].map((place) => dealtCard(LISTED, place)?.slot);
  assertEquals(slots, ["0000:03:00.0", "0000:0a:00.0", "0000:03:00.0"]);
  // A card and what the processor has besides are no two cards.
  assertEquals(dealtCard(LISTED.slice(1), 1), undefined);
  const place = (variables: Record<string, string>) => placeOnMachine((name) => variables[name]);
  const launched = { OMPI_COMM_WORLD_SIZE: "4", OMPI_COMM_WORLD_RANK: "3" };
  assertEquals(place({ ...launched, OMPI_COMM_WORLD_LOCAL_RANK: "1" }), 1);
  assertEquals(place({ PMI_SIZE: "2", PMI_RANK: "1", MPI_LOCALRANKID: "0" }), 0);
  assertEquals([place(launched), place({ OMPI_COMM_WORLD_LOCAL_RANK: "1" })], [
    undefined,
    undefined,
  ]);
});

Deno.test("without Vulkan's list the kernel's has the cards' places", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const devices = {
      "0000:00:1f.3": ["0x040300", 0x8086, 1],
      "0000:03:00.0": ["0x030000", 0x10de, 2],
    };
    for (const [slot, [kind, vendor, device]] of Object.entries(devices)) {
      await Deno.mkdir(join(folder, slot));
      for (const [file, value] of Object.entries({ class: kind, vendor, device })) {
        await Deno.writeTextFile(join(folder, slot, file), `${value}\n`);
      }
    }
    assertEquals(pciCards(folder), [
      { name: "PCI 10de:2", vendor: 0x10de, device: 2, slot: "0000:03:00.0" },
    ]);
    assertEquals(pciCards(join(folder, "absent")), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Mesa's layer, and RADV, which makes a card of nothing. */
const CAN_TRY = Deno.build.os === "linux" &&
  ["implicit_layer.d/VkLayer_MESA_device_select.json", `icd.d/radeon_icd.${Deno.build.arch}.json`]
    .every((file) => isFile(`/usr/share/vulkan/${file}`));

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

Deno.test({
  name: "of two Vulkan devices --gpu opens the one that it names" +
    (CAN_TRY ? "" : " (skipped: Mesa's device selection and RADV are not installed)"),
  ignore: !CAN_TRY,
  async fn() {
    const cli = fromFileUrl(import.meta.resolve("../../cli.ts"));
    const doctor = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", cli, "doctor", "--json", ...args],
        env: { NO_COLOR: "1", RADV_FORCE_FAMILY: "navi21" },
      }).output();
      const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, error, ...JSON.parse(out || "{}") };
    };
    const { adapter, cards } = await doctor("--gpu", "llvmpipe");
    assertStringIncludes(adapter.name, "llvmpipe");
    const names: string[] = cards.map(({ name }: { name: string }) => name);
    const at = names.findIndex((name) => name.includes("NAVI21"));
    assert(at >= 0 && names.length > 1, `${names}`);
    const other = await doctor("--gpu", "no such card");
    assertEquals(other.code, 1);
    assertStringIncludes(other.error, "there is no such card");
    assertStringIncludes((await doctor("--gpu", `${at}`)).adapter.name, "NAVI21");
  },
});
