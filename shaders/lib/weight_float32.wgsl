// A weight matrix in float32, whatever the format of the activations; `weight` is a binding of the
// kernel. Twins: weight_bfloat16.wgsl, weight_int8.wgsl.
alias WeightQuad = vec4<f32>;

fn load_weight(index: u32) -> vec4<f32> {
  return weight[index];
}
