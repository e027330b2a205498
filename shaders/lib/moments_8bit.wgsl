// Eight moments of Adam as codes of 8 bits, relative to the absolute maximum of their block (Dettmers
// et al. 2022): two words. Twin: moments_4bit.wgsl.
// @use dynamic_8bit
alias Codes = vec2<u32>;

const BLOCK_OCTETS = 32u;

// What first moments are relative to besides: nothing.
const RELATIVE = false;

fn units_of(second: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(1.0);
}

fn decode_first(codes: Codes) -> mat2x4<f32> {
  return mat2x4<f32>(decode_signed(codes.x), decode_signed(codes.y));
}

fn decode_second(codes: Codes) -> mat2x4<f32> {
  return mat2x4<f32>(decode_unsigned(codes.x), decode_unsigned(codes.y));
}

fn encode_first(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return vec2<u32>(encode_signed(low), encode_signed(high));
}

fn encode_second(low: vec4<f32>, high: vec4<f32>) -> Codes {
  return vec2<u32>(encode_unsigned(low), encode_unsigned(high));
}
