// Eight consecutive elements of a group-quantised int8 matrix: value = (code - zero) · scale.
// An octet never straddles a group, so it needs one word of constants. The kernel's Params hold
// first_octet (octets of the whole matrix before this binding) and group_octets.
// @use group_of, group_constants
override GROUP_SHIFTS: bool;

struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> source: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> constants: array<u32>;

fn codes(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn octet(index: u32) -> Octet {
  let words = source[index];
  let group = constants[group_of(GROUP_SHIFTS, params.first_octet + index, params.group_octets)];
  let scale = scale_of(group);
  let zero = zero_of(group, 255u);
  return Octet((codes(words.x) - zero) * scale, (codes(words.y) - zero) * scale);
}
