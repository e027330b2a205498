/** Kernels from WGSL that uses the libraries in shaders/lib. */
import attention_first_keys from "../../shaders/lib/attention_first_keys.wgsl" with {
  type: "text",
};
import attention_near_shared from "../../shaders/lib/attention_near_shared.wgsl" with {
  type: "text",
};
import attention_near_subgroup from "../../shaders/lib/attention_near_subgroup.wgsl" with {
  type: "text",
};
import attention_pairs from "../../shaders/lib/attention_pairs.wgsl" with { type: "text" };
import attention_rows from "../../shaders/lib/attention_rows.wgsl" with { type: "text" };
import attention_texture from "../../shaders/lib/attention_texture.wgsl" with { type: "text" };
import attention_tile from "../../shaders/lib/attention_tile.wgsl" with { type: "text" };
import bfloat16 from "../../shaders/lib/bfloat16.wgsl" with { type: "text" };
import bytes from "../../shaders/lib/bytes.wgsl" with { type: "text" };
import column_lanes from "../../shaders/lib/column_lanes.wgsl" with { type: "text" };
import dynamic_8bit from "../../shaders/lib/dynamic_8bit.wgsl" with { type: "text" };
import float32 from "../../shaders/lib/float32.wgsl" with { type: "text" };
import fours from "../../shaders/lib/fours.wgsl" with { type: "text" };
import gate_gelu from "../../shaders/lib/gate_gelu.wgsl" with { type: "text" };
import gate_gelu_tanh from "../../shaders/lib/gate_gelu_tanh.wgsl" with { type: "text" };
import gate_silu from "../../shaders/lib/gate_silu.wgsl" with { type: "text" };
import gradient_apart from "../../shaders/lib/gradient_apart.wgsl" with { type: "text" };
import gradient_in_place from "../../shaders/lib/gradient_in_place.wgsl" with { type: "text" };
import group from "../../shaders/lib/group.wgsl" with { type: "text" };
import group_constants from "../../shaders/lib/group_constants.wgsl" with { type: "text" };
import group_int4 from "../../shaders/lib/group_int4.wgsl" with { type: "text" };
import group_int8 from "../../shaders/lib/group_int8.wgsl" with { type: "text" };
import group_of from "../../shaders/lib/group_of.wgsl" with { type: "text" };
import group_store_int4 from "../../shaders/lib/group_store_int4.wgsl" with { type: "text" };
import group_store_int8 from "../../shaders/lib/group_store_int8.wgsl" with { type: "text" };
import lane_squares from "../../shaders/lib/lane_squares.wgsl" with { type: "text" };
import lanes from "../../shaders/lib/lanes.wgsl" with { type: "text" };
import lanes_held from "../../shaders/lib/lanes_held.wgsl" with { type: "text" };
import lanes_shared from "../../shaders/lib/lanes_shared.wgsl" with { type: "text" };
import lanes_subgroup from "../../shaders/lib/lanes_subgroup.wgsl" with { type: "text" };
import matmul_store from "../../shaders/lib/matmul_store.wgsl" with { type: "text" };
import moments_4bit from "../../shaders/lib/moments_4bit.wgsl" with { type: "text" };
import moments_8bit from "../../shaders/lib/moments_8bit.wgsl" with { type: "text" };
import nf4 from "../../shaders/lib/nf4.wgsl" with { type: "text" };
import nf4_table from "../../shaders/lib/nf4_table.wgsl" with { type: "text" };
import no_table from "../../shaders/lib/no_table.wgsl" with { type: "text" };
import octet_any from "../../shaders/lib/octet_any.wgsl" with { type: "text" };
import octet_bfloat16 from "../../shaders/lib/octet_bfloat16.wgsl" with { type: "text" };
import octet_float32 from "../../shaders/lib/octet_float32.wgsl" with { type: "text" };
import octet_int4 from "../../shaders/lib/octet_int4.wgsl" with { type: "text" };
import octet_int8 from "../../shaders/lib/octet_int8.wgsl" with { type: "text" };
import octet_nf4 from "../../shaders/lib/octet_nf4.wgsl" with { type: "text" };
import octet_nf4_table from "../../shaders/lib/octet_nf4_table.wgsl" with { type: "text" };
import parts_of_eight from "../../shaders/lib/parts_of_eight.wgsl" with { type: "text" };
import parts_of_four from "../../shaders/lib/parts_of_four.wgsl" with { type: "text" };
import parts_of_two_bfloat16 from "../../shaders/lib/parts_of_two_bfloat16.wgsl" with {
  type: "text",
};
import parts_of_two_float32 from "../../shaders/lib/parts_of_two_float32.wgsl" with {
  type: "text",
};
import rng from "../../shaders/lib/rng.wgsl" with { type: "text" };
import rng_normal from "../../shaders/lib/rng_normal.wgsl" with { type: "text" };
import update_apart from "../../shaders/lib/update_apart.wgsl" with { type: "text" };
import update_in_place from "../../shaders/lib/update_in_place.wgsl" with { type: "text" };
import weight_bfloat16 from "../../shaders/lib/weight_bfloat16.wgsl" with { type: "text" };
import weight_float32 from "../../shaders/lib/weight_float32.wgsl" with { type: "text" };
import weight_int8 from "../../shaders/lib/weight_int8.wgsl" with { type: "text" };
import weight_nf4 from "../../shaders/lib/weight_nf4.wgsl" with { type: "text" };
import words_a_1 from "../../shaders/lib/words_a_1.wgsl" with { type: "text" };
import words_a_2 from "../../shaders/lib/words_a_2.wgsl" with { type: "text" };
import words_a_4 from "../../shaders/lib/words_a_4.wgsl" with { type: "text" };
import words_b_1 from "../../shaders/lib/words_b_1.wgsl" with { type: "text" };
import words_b_2 from "../../shaders/lib/words_b_2.wgsl" with { type: "text" };
import words_b_4 from "../../shaders/lib/words_b_4.wgsl" with { type: "text" };
import { defineKernel, type Kernel, type KernelOptions } from "../gpu/kernel.ts";

const LIBRARIES = {
  attention_first_keys,
  attention_near_shared,
  attention_near_subgroup,
  attention_pairs,
  attention_rows,
  attention_texture,
  attention_tile,
  bfloat16,
  bytes,
  column_lanes,
  dynamic_8bit,
  float32,
  fours,
  gate_gelu,
  gate_gelu_tanh,
  gate_silu,
  gradient_apart,
  gradient_in_place,
  group,
  group_constants,
  group_int4,
  group_int8,
  group_of,
  group_store_int4,
  group_store_int8,
  lane_squares,
  lanes,
  lanes_held,
  lanes_shared,
  lanes_subgroup,
  matmul_store,
  moments_4bit,
  moments_8bit,
  nf4,
  nf4_table,
  no_table,
  octet_any,
  octet_bfloat16,
  octet_float32,
  octet_int4,
  octet_int8,
  octet_nf4,
  octet_nf4_table,
  parts_of_eight,
  parts_of_four,
  parts_of_two_bfloat16,
  parts_of_two_float32,
  rng,
  rng_normal,
  update_apart,
  update_in_place,
  weight_bfloat16,
  weight_float32,
  weight_int8,
  weight_nf4,
  words_a_1,
  words_a_2,
  words_a_4,
  words_b_1,
  words_b_2,
  words_b_4,
};

/** {@link defineKernel}, with the libraries of this project. */
export function shader(
  name: string,
  source: string,
  options: Omit<KernelOptions, "libraries"> = {},
): Kernel {
  return defineKernel(name, source, { ...options, libraries: LIBRARIES });
}

/** Values of a constant that is a flag. */
export const FLAG = [0, 1];
