// Activations in float32, four at a time. Twin: bfloat16.wgsl. A kernel written with Quad, unpack
// and pack runs in either format.
alias Quad = vec4<f32>;

fn unpack(quad: Quad) -> vec4<f32> {
  return quad;
}

fn pack(values: vec4<f32>) -> Quad {
  return values;
}
