// Shared by the attention kernels for software adapters. A thread owns four rows (queries, or keys
// in the backward pass over keys) of one head and loops over columns four at a time: products are
// 4 × 4 matrices in registers, without sharing or barriers. On a processor, whose "registers" are
// in its L1 cache, this beats tiles in workgroup memory; on a card the sums of four rows would not
// fit. Operands are staged in textures (attention_stage.wgsl).
// @use fours
// @const HEAD_QUADS   D / 4
const WORKGROUP_SIZE = 8u;   // one SIMD vector of the processor

// Sums of four rows over the head: column r of matrix d holds elements 4d to 4d + 3 of row r.
alias Rows = array<mat4x4<f32>, HEAD_QUADS>;

// Rows first to first + 3, clamped to the last.
fn four_rows(first: u32, last: u32) -> vec4<u32> {
  return min(four_from(first), vec4<u32>(last));
}

@group(0) @binding(0) var q: texture_storage_2d<rgba32float, read>;   // (B·Tq, H·D)
@group(0) @binding(1) var k: texture_storage_2d<rgba32float, read>;   // (B·keyLength, K·D)
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>;   // (B·keyLength, K·D)

// Four elements of each of four rows, a row per matrix column.
fn load_q(x: u32, y: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(q, vec2<u32>(x, y.x)),
    textureLoad(q, vec2<u32>(x, y.y)),
    textureLoad(q, vec2<u32>(x, y.z)),
    textureLoad(q, vec2<u32>(x, y.w)),
  );
}

fn load_k(x: u32, y: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(k, vec2<u32>(x, y.x)),
    textureLoad(k, vec2<u32>(x, y.y)),
    textureLoad(k, vec2<u32>(x, y.z)),
    textureLoad(k, vec2<u32>(x, y.w)),
  );
}

fn load_v(x: u32, y: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    textureLoad(v, vec2<u32>(x, y.x)),
    textureLoad(v, vec2<u32>(x, y.y)),
    textureLoad(v, vec2<u32>(x, y.z)),
    textureLoad(v, vec2<u32>(x, y.w)),
  );
}
