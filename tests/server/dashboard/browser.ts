/** A real browser, with checks on every page. */
import { type Browser, chromium, type Page } from "playwright-core";
import { findBrowser } from "../../../src/host/find_browser.ts";

/** Undefined if not installed: tests that need it are skipped. */
export const CHROMIUM = findBrowser();

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Skipped if no browser is installed. */
export function browserTest(name: string, run: () => Promise<void>) {
  // Playwright keeps a pipe to the browser's process for a moment after it has closed it.
  const options = { ignore: !CHROMIUM, sanitizeOps: false, sanitizeResources: false };
  Deno.test({ name: `dashboard: ${name}`, ...options, fn: run });
}

export interface Visit {
  readonly page: Page;
  /** Script errors, content security policy violations, and requests to other origins. */
  readonly faults: string[];
}

export interface Looks {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly reducedMotion?: boolean;
}

/** Opens a page of the server in a fresh profile; fails on any fault. */
export async function visit(
  url: string,
  { width = 1280, height = 900, dark = false, reducedMotion = false }: Looks,
  use: (visit: Visit) => Promise<void>,
): Promise<void> {
  const browser: Browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  try {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      reducedMotion: reducedMotion ? "reduce" : "no-preference",
    });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const faults: string[] = [];
    const { origin } = new URL(url);
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin) {
        faults.push(`a request to ${request.url()}`);
      }
    });
    page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
    page.on("console", (message) => {
      // The browser's own message for a response such as 400, which the page handles.
      if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) {
        faults.push(message.text());
      }
    });
    await page.goto(url);
    await use({ page, faults });
    if (faults.length) throw new Error(`in the browser: ${faults.join("\n")}`);
  } finally {
    await browser.close();
  }
}

/** Number of canvas pixels that are not grey. */
export async function inkOf(page: Page, selector: string): Promise<number> {
  return await page.evaluate(`(() => {
    const canvas = document.querySelector(${JSON.stringify(selector)});
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 100 && Math.abs(data[i] - data[i + 2]) > 60) count++;
    }
    return count;
  })()`);
}

/**
 * Waits until an expression holds in the page. Playwright's own way does so by `eval` in the page,
 * which its content security policy forbids.
 */
export async function until(page: Page, expression: string, milliseconds = 20_000): Promise<void> {
  for (const start = Date.now(); Date.now() < start + milliseconds;) {
    if (await page.evaluate(expression)) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`not within ${milliseconds} ms: ${expression}`);
}
