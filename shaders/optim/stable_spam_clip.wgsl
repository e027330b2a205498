// AdaClip: x = x / largest · T̂ where |x| > T̂, eight elements per thread. Where no
// element is above, nothing is read or written.
override WORKGROUP_SIZE: u32;

struct Params {
  octets: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<mat2x4<f32>>;
@group(0) @binding(1) var<storage, read> figures: array<f32>;   // the largest, T̂
@group(1) @binding(0) var<uniform> params: Params;

fn clipped(values: vec4<f32>, threshold: f32, factor: f32) -> vec4<f32> {
  return select(values, factor * values, abs(values) > vec4<f32>(threshold));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let largest = figures[0];
  let threshold = figures[1];
  if (largest <= threshold || id.x >= p.octets) { return; }
  let factor = threshold / largest;
  let values = x[id.x];
  x[id.x] = mat2x4<f32>(
    clipped(values[0], threshold, factor),
    clipped(values[1], threshold, factor),
  );
}
