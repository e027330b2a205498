// Octets of a weight matrix in float32, whatever the format of the activations; `weight` is a binding
// of the kernel. Twins: weight_bfloat16.wgsl, weight_int8.wgsl, weight_nf4.wgsl.
alias WeightOctet = mat2x4<f32>;

fn load_weight(octet: u32) -> mat2x4<f32> {
  return weight[octet];
}
