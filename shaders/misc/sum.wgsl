// out[index] (+)= scale · Σ parts, the sums of sum_parts.wgsl
// One workgroup: each thread strides over the parts, one thread adds up their sums. The order is
// fixed, so that the same numbers give the same bits.
override WORKGROUP_SIZE: u32;

struct Params {
  parts: u32,
  index: u32,
  scale: f32,
  accumulate: u32,   // 1 adds to out
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < params.parts; i += WORKGROUP_SIZE) { sum += parts[i]; }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread != 0u) { return; }
  var total = 0.0;
  for (var i = 0u; i < WORKGROUP_SIZE; i++) { total += sums[i]; }
  total *= params.scale;
  if (params.accumulate == 1u) { total += out[params.index]; }
  out[params.index] = total;
}
