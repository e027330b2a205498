// Shared by the attention kernels for software adapters. A thread owns four rows (queries, or keys
// whose gradients it sums; eight where it keeps no sums) of one head and loops over as many columns
// at a time: products are 4 × 4 matrices in registers, without sharing or barriers. On a processor,
// whose "registers" are in its L1 cache, this beats tiles in workgroup memory; on a card the sums of
// four rows would not fit. Operands are copied to textures as they are, because a software adapter
// reads a texture up to eight times faster than a buffer.
// @use bfloat16 | float32
// @use fours
// @const HEAD_QUADS   D / 4
const WORKGROUP_SIZE = 8u;   // one SIMD vector of the processor
const HEAD_OCTETS = (HEAD_QUADS + 1u) / 2u;

// Sums of four rows over the head: column r of matrix d holds elements 4d to 4d + 3 of row r. Only
// constants index them: a variable index would move them to memory.
alias Sums = array<mat4x4<f32>, 2u * HEAD_OCTETS>;

// Row r of such a matrix, by selection for the same reason.
fn row_of(m: mat4x4<f32>, r: u32) -> vec4<f32> {
  return select(select(m[0], m[1], r == 1u), select(m[2], m[3], r == 3u), r >= 2u);
}

// Rows first to first + 3, clamped to the last.
fn four_rows(first: u32, last: u32) -> vec4<u32> {
  return min(four_from(first), vec4<u32>(last));
}

// A row of texels holds 2^shift rows of an operand, one after the other. The kernel declares its
// textures, and `texel`, which loads from one of them by a number: HLSL has no textures as arguments,
// and compilers fold the branches.

// A head in four rows.
struct Heads {
  quad: vec4<u32>,   // where it starts in a row of texels
  y: vec4<u32>,      // the rows of texels
}

fn heads_at(rows: vec4<u32>, shift: u32, row_quads: u32, head: u32) -> Heads {
  let beside = rows & vec4<u32>((1u << shift) - 1u);
  return Heads(beside * row_quads + head * HEAD_QUADS, rows >> vec4<u32>(shift));
}

fn texel_at(quad: u32, y: u32) -> vec2<u32> {
  return vec2<u32>(quad / TEXEL_QUADS, y);
}

// Eight consecutive elements of a row.
struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

// Octet o of an operand's head that starts at quad `head`; zero beyond its end.
fn octet(operand: u32, head: u32, y: u32, o: u32) -> Octet {
  let quad = head + 2u * o;
  let first = texel(operand, texel_at(quad, y));
  if (TEXEL_QUADS == 2u && HEAD_QUADS % 2u == 0u) {
    return Octet(texel_quad(first, 0u), texel_quad(first, 1u));
  }
  let low = texel_quad(first, quad % TEXEL_QUADS);
  let high = texel_quad(texel(operand, texel_at(quad + 1u, y)), (quad + 1u) % TEXEL_QUADS);
  return Octet(low, select(high, vec4<f32>(0.0), 2u * o + 1u == HEAD_QUADS));
}

// The same of four rows: a row per column of the matrices.
struct Octets {
  low: mat4x4<f32>,
  high: mat4x4<f32>,
}

fn octets(operand: u32, heads: Heads, o: u32) -> Octets {
  let a = octet(operand, heads.quad.x, heads.y.x, o);
  let b = octet(operand, heads.quad.y, heads.y.y, o);
  let c = octet(operand, heads.quad.z, heads.y.z, o);
  let d = octet(operand, heads.quad.w, heads.y.w, o);
  return Octets(
    mat4x4<f32>(a.low, b.low, c.low, d.low),
    mat4x4<f32>(a.high, b.high, c.high, d.high),
  );
}
