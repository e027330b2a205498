/** Names that a part of a template refers to. */

/** Walks any part of the tree: statements, expressions, lists of them. */
export function namesIn(part: unknown, names: Set<string> = new Set()): Set<string> {
  if (Array.isArray(part)) part.forEach((each) => namesIn(each, names));
  else if (typeof part === "object" && part !== null) {
    if ("kind" in part && part.kind === "name" && "name" in part) names.add(String(part.name));
    else if (!("kind" in part && part.kind === "constant")) {
      Object.values(part).forEach((each) => namesIn(each, names));
    }
  }
  return names;
}
