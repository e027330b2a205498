// Octets of a group-quantised weight matrix in INT8: value = (code - zero) · scale; `weight` is a
// binding of the kernel, whose Params hold first_octet and group_octets. Twins:
// weight_bfloat16.wgsl, weight_float32.wgsl.
// @use bytes
alias WeightOctet = vec2<u32>;

@group(0) @binding(3) var<storage, read> constants: array<vec2<f32>>;   // scale, zero point

fn load_weight(octet: u32) -> mat2x4<f32> {
  let words = weight[octet];
  let group = constants[(params.first_octet + octet) / params.group_octets];
  return mat2x4<f32>(
    (unpack_bytes(words.x) - group.y) * group.x, (unpack_bytes(words.y) - group.y) * group.x,
  );
}
