/** The update rules by name; train/methods.ts says which method uses which. */
import { adam32, adam4, adam8 } from "./adam.ts";
import { adamFactored } from "./adam_factored.ts";
import { apollo32, apollo8, apolloMini32, apolloMini8 } from "./apollo.ts";
import { muon32, muon8 } from "./muon.ts";
import type { UpdateRule } from "./rule.ts";
import { scale, scaleEmbedding, scaleHead, scaleHead8 } from "./scale.ts";

/** Name of an update rule. */
export type RuleName =
  | "adam"
  | "adam8bit"
  | "adam4bit"
  | "adam_factored"
  | "muon"
  | "muon8bit"
  | "apollo"
  | "apollo8bit"
  | "apollo_mini"
  | "apollo_mini8bit"
  | "scale"
  | "scale_embedding"
  | "scale_head"
  | "scale_head8bit";

export const RULES: Readonly<Record<RuleName, UpdateRule>> = {
  adam: adam32,
  adam8bit: adam8,
  adam4bit: adam4,
  adam_factored: adamFactored,
  muon: muon32,
  muon8bit: muon8,
  apollo: apollo32,
  apollo8bit: apollo8,
  apollo_mini: apolloMini32,
  apollo_mini8bit: apolloMini8,
  scale,
  scale_embedding: scaleEmbedding,
  scale_head: scaleHead,
  scale_head8bit: scaleHead8,
};
