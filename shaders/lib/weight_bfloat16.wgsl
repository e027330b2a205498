// A weight matrix in bfloat16, whatever the format of the activations. Twin: weight_float32.wgsl.
alias WeightQuad = vec2<u32>;

fn unpack_weight(quad: WeightQuad) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(
    quad.x << 16u, quad.x & 0xffff0000u, quad.y << 16u, quad.y & 0xffff0000u,
  ));
}
