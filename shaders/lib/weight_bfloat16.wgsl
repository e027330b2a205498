// Octets of a weight matrix in bfloat16, whatever the format of the activations; `weight` is a
// binding of the kernel. Twins: weight_float32.wgsl, weight_int8.wgsl,
// weight_nf4.wgsl.
alias WeightOctet = vec4<u32>;

fn load_weight(octet: u32) -> mat2x4<f32> {
  let words = weight[octet];
  let even = bitcast<vec4<f32>>(words << vec4<u32>(16u));
  let odd = bitcast<vec4<f32>>(words & vec4<u32>(0xffff0000u));
  return mat2x4<f32>(
    vec4<f32>(even.x, odd.x, even.y, odd.y), vec4<f32>(even.z, odd.z, even.w, odd.w),
  );
}
