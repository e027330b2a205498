// Activations in float32, four or eight at a time. Twin: bfloat16.wgsl. A kernel written with Quad,
// unpack and pack, or with Eight and its functions, runs in either format.
alias Quad = vec4<f32>;
alias Eight = mat2x4<f32>;

fn unpack(quad: Quad) -> vec4<f32> {
  return quad;
}

fn pack(values: vec4<f32>) -> Quad {
  return values;
}

fn unpack_low(eight: Eight) -> vec4<f32> {
  return eight[0];
}

fn unpack_high(eight: Eight) -> vec4<f32> {
  return eight[1];
}

fn pack_eight(low: vec4<f32>, high: vec4<f32>) -> Eight {
  return mat2x4<f32>(low, high);
}

// A texture holds four elements to a texel.
const TEXEL_QUADS = 1u;

fn texel_quad(texel: vec4<u32>, i: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(texel);
}
