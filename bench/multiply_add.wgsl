// What the adapter's arithmetic can do at most: multiply-adds on registers alone. Three chains of
// four numbers, unrolled: fewer do not fill a processor's pipelines, more do not fit its registers.
// At most 65,535 iterations: Mesa's software adapter silently leaves a loop there.
struct Params {
  iterations: u32,
  factor: f32,
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let m = vec4<f32>(params.factor);
  let one = vec4<f32>(1.0);
  var a = vec4<f32>(f32(id.x));
  var b = a + one;
  var c = b + one;
  for (var i = 0u; i < params.iterations; i++) {
    a = fma(a, m, one);
    b = fma(b, m, one);
    c = fma(c, m, one);
    a = fma(a, m, one);
    b = fma(b, m, one);
    c = fma(c, m, one);
    a = fma(a, m, one);
    b = fma(b, m, one);
    c = fma(c, m, one);
    a = fma(a, m, one);
    b = fma(b, m, one);
    c = fma(c, m, one);
  }
  out[id.x] = a + b + c;
}
