// A weight matrix in bfloat16, whatever the format of the activations; `weight` is a binding of the
// kernel. Twins: weight_float32.wgsl, weight_int8.wgsl.
alias WeightQuad = vec2<u32>;

fn load_weight(index: u32) -> vec4<f32> {
  let quad = weight[index];
  return bitcast<vec4<f32>>(vec4<u32>(
    quad.x << 16u, quad.x & 0xffff0000u, quad.y << 16u, quad.y & 0xffff0000u,
  ));
}
