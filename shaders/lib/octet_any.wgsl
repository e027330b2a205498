// Eight consecutive elements of two matrices, each in a format that an override constant names, for
// kernels that would otherwise need a variant for every pair of formats. The compiler folds the
// branches. Words are read one by one, which suits cards, since they coalesce loads; elsewhere
// lib/octet_<format>.wgsl reads vectors. Only b may be NF4, which is a format of frozen weights.
// The kernel's Params hold a_first_octet, a_group_octets and the same for b: see octet_int8.wgsl.
// @use nf4
override A_FORMAT: u32;
override B_FORMAT: u32;

const FLOAT32 = 0u;
const BFLOAT16 = 1u;
const INT8 = 2u;
const INT4 = 3u;
const NF4 = 4u;

struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read> a_constants: array<vec2<f32>>;   // scale, zero point
@group(0) @binding(3) var<storage, read> b_constants: array<u32>;   // the same, or see nf4.wgsl

fn bfloat16_pairs(first: u32, second: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(
    vec4<u32>(first << 16u, first & 0xffff0000u, second << 16u, second & 0xffff0000u),
  );
}

fn codes(word: u32, bits: u32) -> vec4<f32> {
  let shifts = vec4<u32>(0u, bits, 2u * bits, 3u * bits);
  return vec4<f32>((vec4<u32>(word) >> shifts) & vec4<u32>((1u << bits) - 1u));
}

fn octet_a(index: u32) -> Octet {
  if (A_FORMAT == FLOAT32) {
    let w = 8u * index;
    return Octet(
      bitcast<vec4<f32>>(vec4<u32>(a[w], a[w + 1u], a[w + 2u], a[w + 3u])),
      bitcast<vec4<f32>>(vec4<u32>(a[w + 4u], a[w + 5u], a[w + 6u], a[w + 7u])),
    );
  }
  if (A_FORMAT == BFLOAT16) {
    let w = 4u * index;
    return Octet(bfloat16_pairs(a[w], a[w + 1u]), bfloat16_pairs(a[w + 2u], a[w + 3u]));
  }
  let group = a_constants[(params.a_first_octet + index) / params.a_group_octets];
  if (A_FORMAT == INT8) {
    return Octet(
      (codes(a[2u * index], 8u) - group.y) * group.x,
      (codes(a[2u * index + 1u], 8u) - group.y) * group.x,
    );
  }
  return Octet(
    (codes(a[index], 4u) - group.y) * group.x,
    (codes(a[index] >> 16u, 4u) - group.y) * group.x,
  );
}

fn octet_b(index: u32) -> Octet {
  if (B_FORMAT == FLOAT32) {
    let w = 8u * index;
    return Octet(
      bitcast<vec4<f32>>(vec4<u32>(b[w], b[w + 1u], b[w + 2u], b[w + 3u])),
      bitcast<vec4<f32>>(vec4<u32>(b[w + 4u], b[w + 5u], b[w + 6u], b[w + 7u])),
    );
  }
  if (B_FORMAT == BFLOAT16) {
    let w = 4u * index;
    return Octet(bfloat16_pairs(b[w], b[w + 1u]), bfloat16_pairs(b[w + 2u], b[w + 3u]));
  }
  if (B_FORMAT == NF4) {
    let block = (params.b_first_octet + index) / NF4_BLOCK_OCTETS;
    let absmax = nf4_absmax(
      block, b_constants[0], b_constants[nf4_record(block)], b_constants[nf4_code_word(block)],
    );
    return Octet(absmax * nf4_levels(b[index]), absmax * nf4_levels(b[index] >> 16u));
  }
  let pair = 2u * ((params.b_first_octet + index) / params.b_group_octets);
  let group = bitcast<vec2<f32>>(vec2<u32>(b_constants[pair], b_constants[pair + 1u]));
  if (B_FORMAT == INT8) {
    return Octet(
      (codes(b[2u * index], 8u) - group.y) * group.x,
      (codes(b[2u * index + 1u], 8u) - group.y) * group.x,
    );
  }
  return Octet(
    (codes(b[index], 4u) - group.y) * group.x,
    (codes(b[index] >> 16u, 4u) - group.y) * group.x,
  );
}
