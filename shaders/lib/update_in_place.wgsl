// A gradient is overwritten by the update from it, in one binding: WebGPU forbids a second binding of
// memory that is written. Twin: update_apart.wgsl.
// @use bfloat16 | float32
@group(0) @binding(4) var<storage, read_write> update: array<Eight>;    // initially the gradient

fn incoming(i: u32) -> Eight {
  return update[i];
}
