// A weight matrix in float32, whatever the format of the activations. Twin: weight_bfloat16.wgsl.
alias WeightQuad = vec4<f32>;

fn unpack_weight(quad: WeightQuad) -> vec4<f32> {
  return quad;
}
