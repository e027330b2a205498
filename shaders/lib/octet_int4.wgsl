// Eight consecutive elements of a group-quantised int4 matrix: one word, lowest bits first,
// value = (code - zero) · scale. See octet_int8 for the parameters it reads.
// @use group_of, group_constants
override GROUP_SHIFTS: bool;

struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> constants: array<u32>;

fn codes(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
}

fn octet(index: u32) -> Octet {
  let word = source[index];
  let group = constants[group_of(GROUP_SHIFTS, params.first_octet + index, params.group_octets)];
  let scale = scale_of(group);
  let zero = zero_of(group, 15u);
  return Octet((codes(word) - zero) * scale, (codes(word >> 16u) - zero) * scale);
}
