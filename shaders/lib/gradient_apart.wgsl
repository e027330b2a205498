// A row's incoming and outgoing gradients are two tensors. Twin: gradient_in_place.wgsl.
// @use bfloat16 | float32
const IN_PLACE = false;

@group(0) @binding(0) var<storage, read> dy: array<Quad>;          // (N, C)
@group(0) @binding(4) var<storage, read_write> dx: array<Quad>;    // (N, C)

fn incoming(i: u32) -> vec4<f32> {
  return unpack(dy[i]);
}
