/** Finds a Chromium for the dashboard's tests. Has no dependencies, like `setup.ts`. */

const PLACES: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/snap/bin/chromium",
    "/usr/bin/google-chrome",
    "/usr/bin/microsoft-edge",
  ],
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  windows: [
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
  ],
};

/** The program's path; undefined if not found. `root` is prepended to every location. */
export function findBrowser(root = ""): string | undefined {
  return PLACES[Deno.build.os]?.map((place) => root + place).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    if (!Deno.statSync(path).isFile) return false;
    // On Ubuntu this is a script that only says to install a snap.
    if (!path.endsWith("chromium-browser")) return true;
    const command = new Deno.Command(path, { args: ["--version"], stdout: "null", stderr: "null" });
    return command.outputSync().success;
  } catch {
    return false;
  }
}
