// Eight consecutive elements of two matrices, each in a format that an override constant names, for
// kernels that would otherwise need a source for every pair of formats. The compiler folds the
// branches. Only b may be NF4, which is a format of frozen weights. Loading and decoding are apart,
// so that a kernel can load ahead. The kernel's Params hold a_first_octet, a_group_octets and the
// same for b: see octet_int8.wgsl.
// @use words_a_1 | words_a_2 | words_a_4
// @use words_b_1 | words_b_2 | words_b_4
// @use group_of, group_constants, nf4_table
override A_FORMAT: u32;
override B_FORMAT: u32;
override A_GROUP_SHIFTS: bool;   // see group_of.wgsl
override B_GROUP_SHIFTS: bool;

const FLOAT32 = 0u;
const BFLOAT16 = 1u;
const INT8 = 2u;
const INT4 = 3u;
const NF4 = 4u;

struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

// An octet as stored: its words, and the word, or words, of its group's constants.
struct Stored {
  low: vec4<u32>,
  high: vec4<u32>,
  constants: vec4<u32>,
}

@group(0) @binding(2) var<storage, read> a_constants: array<u32>;   // a word a group
@group(0) @binding(3) var<storage, read> b_constants: array<u32>;   // the same, or see nf4.wgsl

fn stored_a(index: u32) -> Stored {
  let none = vec4<u32>(0u);
  if (A_FORMAT == FLOAT32) { return Stored(words_a(2u * index), words_a(2u * index + 1u), none); }
  if (A_FORMAT == BFLOAT16) { return Stored(words_a(index), none, none); }
  let group = group_of(A_GROUP_SHIFTS, params.a_first_octet + index, params.a_group_octets);
  return Stored(words_a(index), none, vec4<u32>(a_constants[group]));
}

fn stored_b(index: u32) -> Stored {
  let none = vec4<u32>(0u);
  if (B_FORMAT == FLOAT32) { return Stored(words_b(2u * index), words_b(2u * index + 1u), none); }
  if (B_FORMAT == BFLOAT16) { return Stored(words_b(index), none, none); }
  if (B_FORMAT == NF4) {
    let block = (params.b_first_octet + index) / NF4_BLOCK_OCTETS;
    let record = nf4_record(block);
    let constants = vec4<u32>(
      block, b_constants[0], b_constants[record], b_constants[nf4_code_word(block)],
    );
    return Stored(words_b(index), none, constants);
  }
  let group = group_of(B_GROUP_SHIFTS, params.b_first_octet + index, params.b_group_octets);
  return Stored(words_b(index), none, vec4<u32>(b_constants[group]));
}

fn bfloat16_pairs(first: u32, second: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(
    vec4<u32>(first << 16u, first & 0xffff0000u, second << 16u, second & 0xffff0000u),
  );
}

// Bytes are what cards convert to floating point in one instruction.
fn bytes_of(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn decoded(format: u32, stored: Stored) -> Octet {
  let low = stored.low;
  if (format == FLOAT32) { return Octet(bitcast<vec4<f32>>(low), bitcast<vec4<f32>>(stored.high)); }
  if (format == BFLOAT16) {
    return Octet(bfloat16_pairs(low.x, low.y), bfloat16_pairs(low.z, low.w));
  }
  if (format == NF4) {
    let constants = stored.constants;
    let absmax = nf4_absmax_read(constants.x, constants.y, constants.z, constants.w);
    return Octet(absmax * nf4_levels_read(low.x), absmax * nf4_levels_read(low.x >> 16u));
  }
  let scale = scale_of(stored.constants.x);
  if (format == INT8) {
    let zero = zero_of(stored.constants.x, 255u);
    return Octet((bytes_of(low.x) - zero) * scale, (bytes_of(low.y) - zero) * scale);
  }
  let zero = zero_of(stored.constants.x, 15u);
  let even = bytes_of(low.x & 0x0f0f0f0fu);
  let odd = bytes_of((low.x >> 4u) & 0x0f0f0f0fu);
  return Octet(
    (vec4<f32>(even.x, odd.x, even.y, odd.y) - zero) * scale,
    (vec4<f32>(even.z, odd.z, even.w, odd.w) - zero) * scale,
  );
}
