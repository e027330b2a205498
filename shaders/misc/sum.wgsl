// out[index] (+)= scale · Σ x, or scale · Σ x²
// One workgroup: each thread strides over the elements, one thread reduces their sums. The order is
// fixed, so that the same numbers give the same bits.
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,        // quads stored in this range; padding is zero
  index: u32,
  scale: f32,
  accumulate: u32,   // 1 adds to out
  squared: u32,      // 1 sums squares
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;       // (n)
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec4<f32>(0.0);
  for (var i = thread; i < params.quads; i += WORKGROUP_SIZE) {
    let value = x[i];
    sum += value * select(vec4<f32>(1.0), value, params.squared == 1u);
  }
  sums[thread] = sum.x + sum.y + sum.z + sum.w;
  workgroupBarrier();
  if (thread != 0u) { return; }
  var total = 0.0;
  for (var i = 0u; i < WORKGROUP_SIZE; i++) { total += sums[i]; }
  total *= params.scale;
  if (params.accumulate == 1u) { total += out[params.index]; }
  out[params.index] = total;
}
