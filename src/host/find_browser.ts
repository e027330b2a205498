/** Where a Chromium is, for the tests of the dashboard. Needs nothing, as `setup.ts` does. */

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

/** The program's path; undefined where there is none. `root` stands before every place. */
export function findBrowser(root = ""): string | undefined {
  return PLACES[Deno.build.os]?.map((place) => root + place).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    if (!Deno.statSync(path).isFile) return false;
    // Ubuntu has a script of that name which only says that a snap is to be installed.
    if (!path.endsWith("chromium-browser")) return true;
    const command = new Deno.Command(path, { args: ["--version"], stdout: "null", stderr: "null" });
    return command.outputSync().success;
  } catch {
    return false;
  }
}
