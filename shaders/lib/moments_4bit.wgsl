// Eight moments of Adam as codes of 4 bits: one word, lowest bits first. Twin: moments_8bit.wgsl.
//   Second moments, relative to the maximum of their block: powers of two, 2^(code − 15). No code is
// zero.
//   First moments, relative to the root of the element's second moment as it was just stored, and to
// the maximum of that in their block: k/7 for codes 8 + k, |k| ≤ 7.
//   Li et al. 2023 ("Memory Efficient Optimizers with 4-bit States") and torchao take sixteenths for the
// second and a dynamic map for the first, each relative to its own maximum. That shortens updates: a
// second moment below 1/16 of the largest counts as 1/16, and a first moment that is small in its
// block, but not beside its own root, becomes zero.
// @use bytes
alias Codes = u32;

const BLOCK_OCTETS = 16u;
const RELATIVE = true;

fn units_of(second: vec4<f32>) -> vec4<f32> {
  return sqrt(second);
}

fn places_of(codes: Codes) -> mat2x4<f32> {
  return mat2x4<f32>(unpack_nibbles(codes), unpack_nibbles(codes >> 16u));
}

fn pack_places(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_nibbles(low) | (pack_nibbles(high) << 16u);
}

fn first_places(values: vec4<f32>) -> vec4<f32> {
  return 8.0 + clamp(round(7.0 * values), vec4<f32>(-7.0), vec4<f32>(7.0));
}

// The nearest power by ratio, from a float's exponent and mantissa: the same everywhere.
fn second_places(values: vec4<f32>) -> vec4<f32> {
  let bits = bitcast<vec4<u32>>(values);
  let exponents = number_of(bits >> vec4<u32>(23u));
  let mantissas = bitcast<vec4<f32>>((bits & vec4<u32>(0x007fffffu)) | vec4<u32>(0x3f800000u));
  let up = select(vec4<f32>(0.0), vec4<f32>(1.0), mantissas > vec4<f32>(1.41421356));
  return clamp(exponents + up - 112.0, vec4<f32>(0.0), vec4<f32>(15.0));
}

fn second_values(places: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bits_of(places + 112.0) << vec4<u32>(23u));
}

fn decode_first(codes: Codes) -> mat2x4<f32> {
  let places = places_of(codes);
  return mat2x4<f32>((places[0] - 8.0) / 7.0, (places[1] - 8.0) / 7.0);
}

fn decode_second(codes: Codes) -> mat2x4<f32> {
  let places = places_of(codes);
  return mat2x4<f32>(second_values(places[0]), second_values(places[1]));
}

fn encode_first(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_places(first_places(low), first_places(high));
}

fn encode_second(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return pack_places(second_places(low), second_places(high));
}
