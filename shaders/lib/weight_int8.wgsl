// A group-quantised weight matrix in INT8: value = (code - zero) · scale; `weight` is a binding of
// the kernel, whose Params hold first_octet and group_octets. Twins: weight_bfloat16.wgsl,
// weight_float32.wgsl.
alias WeightQuad = u32;

@group(0) @binding(3) var<storage, read> constants: array<vec2<f32>>;   // scale, zero point

fn load_weight(index: u32) -> vec4<f32> {
  let codes = (vec4<u32>(weight[index]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
  let group = constants[(params.first_octet + index / 2u) / params.group_octets];
  return (vec4<f32>(codes) - group.y) * group.x;
}
