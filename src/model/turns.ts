/**
 * Which buffers of a training step share memory: each slot holds what a phase needs, and nothing of
 * it is live in the slot's other phases.
 *
 *   slot      layers' MLP   attention's backward   head     refresh      update
 *   hidden    hidden                               logits   subspace.z   low-rank gradient
 *   dnormed   dnormed       dattention
 *   gate      gate          dquery
 *   up        up            dkey, dvalue
 *
 * hidden is dead once the gradient of down is written, before that is consumed; dnormed from its norm
 * until dquery is multiplied; gate and up of a layer after its MLP's backward pass, and where they are
 * recomputed one set serves all layers. dkey and dvalue are only ever written together.
 */
import type { Turn } from "../gpu/slots.ts";

const turn = (slot: string, phase: string): Turn => ({ slot, phase });

export const TURNS = {
  hidden: turn("hidden", "mlp"),
  logits: turn("hidden", "head"),
  subspace: turn("hidden", "refresh"),
  lowRank: turn("hidden", "update"),
  dnormed: turn("dnormed", "mlp"),
  dattention: turn("dnormed", "attention"),
  gate: turn("gate", "mlp"),
  dquery: turn("gate", "attention"),
  up: turn("up", "mlp"),
  dkeyValue: turn("up", "attention"),
};
