// A row's incoming gradient is overwritten by the outgoing one, in one binding: WebGPU forbids a
// second binding of memory that is written. Twin: gradient_apart.wgsl.
// @use bfloat16 | float32
@group(0) @binding(4) var<storage, read_write> dx: array<Eight>;    // (N, C) initially dy

fn incoming(i: u32) -> Eight {
  return dx[i];
}
