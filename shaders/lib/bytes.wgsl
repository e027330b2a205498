// Integers below 2^23 in float32, and bytes and nibbles in words, lowest first. Processors convert signed integers
// to float32 in one instruction, unsigned ones in several; back, an integer stands in the mantissa of
// itself plus 2^23.
fn number_of(integers: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(integers));
}

// The lowest bits of an integer: no more than 23 are valid.
fn bits_of(numbers: vec4<f32>) -> vec4<u32> {
  return bitcast<vec4<u32>>(numbers + 8388608.0);
}

fn unpack_bytes(word: u32) -> vec4<f32> {
  return number_of((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu));
}

fn pack_bytes(numbers: vec4<f32>) -> u32 {
  let bytes = (bits_of(numbers) & vec4<u32>(0xffu)) << vec4<u32>(0u, 8u, 16u, 24u);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}

// Of the lower half of a word.
fn unpack_nibbles(word: u32) -> vec4<f32> {
  return number_of((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(0xfu));
}

fn pack_nibbles(numbers: vec4<f32>) -> u32 {
  let nibbles = (bits_of(numbers) & vec4<u32>(0xfu)) << vec4<u32>(0u, 4u, 8u, 12u);
  return nibbles.x | nibbles.y | nibbles.z | nibbles.w;
}
