// Activations in bfloat16, two in a u32, the lower half first: four at a time, or eight, which are
// one load of 16 bytes. Twin: float32.wgsl. Uses bit operations, which every adapter supports.
alias Quad = vec2<u32>;
alias Eight = vec4<u32>;

fn unpack(quad: Quad) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(
    quad.x << 16u, quad.x & 0xffff0000u, quad.y << 16u, quad.y & 0xffff0000u,
  ));
}

// Round to nearest, ties to even. A NaN must not become an infinity when its low bits round away;
// it is recognised by its bits, because a compiler may assume x == x.
fn pack(values: vec4<f32>) -> Quad {
  let bits = bitcast<vec4<u32>>(values);
  let rounded = bits + 0x7fffu + ((bits >> vec4<u32>(16u)) & vec4<u32>(1u));
  // Signed numbers are compared in one instruction by processors, unsigned ones in three.
  let nan = vec4<i32>(bits & vec4<u32>(0x7fffffffu)) > vec4<i32>(0x7f800000);
  let halves = select(rounded, vec4<u32>(0x7fc00000u), nan);
  return (halves.xz >> vec2<u32>(16u)) | (halves.yw & vec2<u32>(0xffff0000u));
}

fn unpack_low(eight: Eight) -> vec4<f32> {
  return unpack(eight.xy);
}

fn unpack_high(eight: Eight) -> vec4<f32> {
  return unpack(eight.zw);
}

fn pack_eight(low: vec4<f32>, high: vec4<f32>) -> Eight {
  return vec4<u32>(pack(low), pack(high));
}

// A texture holds eight elements to a texel.
const TEXEL_QUADS = 2u;

fn texel_quad(texel: vec4<u32>, i: u32) -> vec4<f32> {
  return unpack(select(texel.xy, texel.zw, i == 1u));
}
