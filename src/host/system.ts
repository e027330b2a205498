/** The machine's drivers, and what to install. Has no dependencies but Deno. */

export interface System {
  readonly os: typeof Deno.build.os;
  /** ID and ID_LIKE of /etc/os-release, such as `ubuntu debian`; empty elsewhere. */
  readonly distribution: string;
  readonly root: boolean;
  readonly container: boolean;
  /** Whether the kernel exposes any graphics device (/dev/dri, /dev/nvidia*, WSL's /dev/dxg). */
  readonly graphicsDevice: boolean;
  /** Names of the installed Vulkan drivers (Linux). */
  readonly vulkanDrivers: readonly string[];
  /** What DENO_WEBGPU_BACKEND limits Deno to, if it is set. */
  readonly interfaces?: string;
}

/** Debian's packages for a purpose. */
export interface DebianPackages {
  readonly names: readonly string[];
  readonly purpose: string;
  /** On a Debian 12 that has none of what they depend on. */
  readonly size: string;
}

export const DRIVERS: DebianPackages = {
  names: ["mesa-vulkan-drivers", "libvulkan1"],
  purpose: "Vulkan and Mesa's drivers, for AMD and Intel cards, and for the processor alone",
  size: "some 55 MB to download, 230 MB on disk",
};

export function inspectSystem(): System {
  const release = Deno.build.os === "linux" ? readText("/etc/os-release") : "";
  return {
    os: Deno.build.os,
    distribution: [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].map(([, id]) => id)
      .join(" "),
    root: Deno.build.os !== "windows" && Deno.uid() === 0,
    container: exists("/.dockerenv") || exists("/run/.containerenv"),
    graphicsDevice: ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"].some(exists),
    vulkanDrivers: vulkanDrivers(),
    interfaces: Deno.env.get("DENO_WEBGPU_BACKEND"),
  };
}

export function isDebian(system: System): boolean {
  return /\b(debian|ubuntu)\b/.test(system.distribution);
}

/** How to get an adapter on this system, one line per step. */
export function driverAdvice(system: System): string[] {
  return [...interfaceAdvice(system), ...installAdvice(system)];
}

/** Deno says nothing of a variable that excludes every driver, nor of a misspelt one. */
function interfaceAdvice({ os, interfaces }: System): string[] {
  const useful = os === "darwin" ? ["metal"] : os === "windows" ? ["dx12", "vulkan"] : ["vulkan"];
  const chosen = interfaces?.split(",").map((name) => name.trim().toLowerCase());
  if (!chosen || useful.every((name) => chosen.includes(name))) return [];
  return [
    `DENO_WEBGPU_BACKEND is ${
      JSON.stringify(interfaces)
    }, and Deno looks for nothing else: unset ` +
    `it, or set it to ${useful.join(" or ")}`,
  ];
}

function installAdvice(system: System): string[] {
  if (system.os === "darwin") {
    return [
      "Metal is part of macOS: update to macOS 13 or newer; virtual machines often lack it",
    ];
  }
  if (system.os === "windows") {
    return [
      "install the graphics driver of your card's vendor (NVIDIA, AMD, Intel), then restart",
      "over Remote Desktop, or without a card, Windows may offer no adapter",
    ];
  }
  const lines = [linuxPackages(system), `that is ${DRIVERS.purpose}: ${DRIVERS.size}`];
  if (system.graphicsDevice) {
    lines.push(
      "for an NVIDIA card, install NVIDIA's driver with its Vulkan part: nvidia-vulkan-icd on Debian, " +
        "libnvidia-gl on Ubuntu, nvidia-utils on Arch, akmod-nvidia on Fedora (RPM Fusion)",
    );
  } else {
    lines.push("no graphics device is visible: Mesa's software driver will work, but slowly");
  }
  if (system.container) {
    lines.push(
      "in a container, pass the card through: `--device /dev/dri` (AMD, Intel), or `--gpus all` with " +
        "NVIDIA_DRIVER_CAPABILITIES=all (NVIDIA)",
    );
  }
  return lines;
}

function linuxPackages({ distribution, root }: System): string {
  const sudo = root ? "" : "sudo ";
  if (/\b(debian|ubuntu)\b/.test(distribution)) {
    const packages = DRIVERS.names.join(" ");
    return `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${packages}`;
  }
  if (/\b(fedora|rhel|centos)\b/.test(distribution)) {
    return `${sudo}dnf install -y mesa-vulkan-drivers vulkan-loader`;
  }
  if (/\barch\b/.test(distribution)) {
    return `${sudo}pacman -S --needed vulkan-icd-loader vulkan-swrast` +
      " (and vulkan-radeon or vulkan-intel for a card)";
  }
  if (/\balpine\b/.test(distribution)) {
    return `${sudo}apk add vulkan-loader mesa-vulkan-swrast gcompat` +
      " (Deno itself needs glibc: a Debian image is easier)";
  }
  if (/\b(opensuse|suse)\b/.test(distribution)) {
    return `${sudo}zypper install libvulkan1 libvulkan_lvp`;
  }
  return "install the Vulkan loader (libvulkan.so.1) and Mesa's Vulkan drivers";
}

function vulkanDrivers(): string[] {
  if (Deno.build.os !== "linux") return [];
  const named = Deno.env.get("VK_DRIVER_FILES") ?? Deno.env.get("VK_ICD_FILENAMES");
  const files = named?.split(":").filter(exists) ??
    ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].flatMap(listing);
  const names = files.map((file) =>
    file.replace(/^.*\//, "").replace(/(_icd)?(\.\w+)?\.json$/, "")
  );
  return [...new Set(names)].sort();
}

function exists(path: string): boolean {
  return tryTo(() => Deno.lstatSync(path)) !== undefined;
}

function listing(folder: string): string[] {
  return tryTo(() => [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)) ?? [];
}

function readText(path: string): string {
  return tryTo(() => Deno.readTextFileSync(path)) ?? "";
}

/** Undefined if a file is absent or unreadable. */
function tryTo<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
