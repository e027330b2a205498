// A row's incoming and outgoing gradients are two tensors. Twin: gradient_in_place.wgsl.
// @use bfloat16 | float32
@group(0) @binding(0) var<storage, read> dy: array<Eight>;          // (N, C)
@group(0) @binding(4) var<storage, read_write> dx: array<Eight>;    // (N, C)

fn incoming(i: u32) -> Eight {
  return dy[i];
}
