// Octets of a group-quantised weight matrix in INT8: value = (code - zero) · scale; `weight` is a
// binding of the kernel, whose Params hold first_octet and group_octets. Twins:
// weight_bfloat16.wgsl, weight_float32.wgsl, weight_nf4.wgsl.
// @use bytes, group_constants
alias WeightOctet = vec2<u32>;

@group(0) @binding(3) var<storage, read> constants: array<u32>;   // a word a group

fn load_weight(octet: u32) -> mat2x4<f32> {
  let words = weight[octet];
  let group = constants[(params.first_octet + octet) / params.group_octets];
  let scale = scale_of(group);
  let zero = zero_of(group, 255u);
  return mat2x4<f32>(
    (unpack_bytes(words.x) - zero) * scale, (unpack_bytes(words.y) - zero) * scale,
  );
}
