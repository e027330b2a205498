/** A report as a document: headings, tables, charts, texts; rendered as HTML or Markdown. */
import { escapeXml } from "../text.ts";
import { fenced, markdownTable, plain } from "./markdown.ts";
import STYLE from "./report.css" with { type: "text" };

/** A part of a document. */
export type Part =
  | { readonly type: "heading"; readonly text: string }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "list"; readonly items: readonly string[] }
  | {
    readonly type: "table";
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  }
  /** A text as it stands. */
  | { readonly type: "quote"; readonly text: string }
  | {
    readonly type: "chart";
    readonly title: string;
    readonly file: string;
    readonly svg: string;
  };

/** A document with its title. */
export interface ReportDocument {
  readonly title: string;
  readonly parts: readonly Part[];
}

/** One file, which needs no other and no network; light or dark as its reader prefers. */
export function asHtml({ title, parts }: ReportDocument): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeXml(title)}</title>
<style>
${STYLE}</style>
</head>
<body>
<h1>${escapeXml(title)}</h1>
${parts.map(htmlOf).join("\n")}
</body>
</html>
`;
}

function htmlOf(part: Part): string {
  switch (part.type) {
    case "heading":
      return `<h2>${escapeXml(part.text)}</h2>`;
    case "text":
      return `<p>${escapeXml(part.text)}</p>`;
    case "list":
      return `<ul>${part.items.map((item) => `<li>${escapeXml(item)}</li>`).join("")}</ul>`;
    case "quote":
      return `<pre>${escapeXml(part.text)}</pre>`;
    case "chart":
      return `<figure>${part.svg}</figure>`;
    case "table": {
      const row = (tag: string, cells: readonly string[]) =>
        `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join("")}</tr>`;
      const rows = part.rows.map((cells) => row("td", cells)).join("\n");
      return `<table>\n<thead>${row("th", part.head)}</thead>\n<tbody>${rows}</tbody>\n</table>`;
    }
  }
}

/** `folder` holds the charts, beside the document. */
export function asMarkdown({ title, parts }: ReportDocument, folder: string): string {
  return [`# ${plain(title)}`, ...parts.map((part) => markdownOf(part, folder))].join("\n\n") +
    "\n";
}

function markdownOf(part: Part, folder: string): string {
  switch (part.type) {
    case "heading":
      return `## ${plain(part.text)}`;
    case "text":
      return plain(part.text);
    case "list":
      return part.items.map((item) => `- ${plain(item)}`).join("\n");
    case "quote":
      return fenced(part.text);
    case "chart":
      return `![${plain(part.title)}](${folder}/${part.file}.svg)`;
    case "table":
      return markdownTable(part.head.map(plain), part.rows.map((cells) => cells.map(plain)));
  }
}
