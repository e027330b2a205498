// out[index] = |cos(vector, leading)|, then leading = vector / |vector|: what the lazy rule needs
// from a refresh. −1 if one of them is zero, as `leading` is before the first refresh. One
// workgroup: a vector has a few thousand elements.
override WORKGROUP_SIZE: u32;   // 128 at most

var<workgroup> parts: array<vec3<f32>, 128>;

struct Params {
  quads: u32,
  index: u32,
}

@group(0) @binding(0) var<storage, read> vector: array<vec4<f32>>;           // (D)
@group(0) @binding(1) var<storage, read_write> leading: array<vec4<f32>>;    // (D)
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
  var sums = vec3<f32>(0.0);
  for (var quad = local; quad < params.quads; quad += WORKGROUP_SIZE) {
    let x = vector[quad];
    let y = leading[quad];
    sums += vec3<f32>(dot(x, x), dot(x, y), dot(y, y));
  }
  parts[local] = sums;
  workgroupBarrier();
  sums = vec3<f32>(0.0);
  for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { sums += parts[thread]; }
  // The inverse length of a zero vector is arbitrary.
  let inverse = inverseSqrt(select(vec3<f32>(1.0), sums, sums > vec3<f32>(0.0)));
  for (var quad = local; quad < params.quads; quad += WORKGROUP_SIZE) {
    leading[quad] = inverse.x * vector[quad];
  }
  if (local == 0u) {
    let both = sums.x > 0.0 && sums.z > 0.0;
    out[params.index] = select(-1.0, abs(sums.y) * inverse.x * inverse.z, both);
  }
}
