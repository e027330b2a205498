// A gradient and the update from it are two tensors. Twin: update_in_place.wgsl.
// @use bfloat16 | float32
@group(0) @binding(0) var<storage, read> gradient: array<Eight>;
@group(0) @binding(4) var<storage, read_write> update: array<Eight>;

fn incoming(i: u32) -> Eight {
  return gradient[i];
}
