// parts[first + g] = max |x| over the elements of workgroup g; stable_spam_threshold.wgsl folds them.
override WORKGROUP_SIZE: u32;

struct Params {
  quads: u32,   // of this range; padding is zero
  first: u32,   // part of this range's first workgroup
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> most: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let p = params;
  var own = vec4<f32>(0.0);
  for (var i = id.x; i < p.quads; i += groups.x * WORKGROUP_SIZE) { own = max(own, abs(x[i])); }
  most[local] = max(max(own.x, own.y), max(own.z, own.w));
  workgroupBarrier();
  if (local != 0u) { return; }
  var largest = 0.0;
  for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { largest = max(largest, most[thread]); }
  parts[p.first + group.x] = largest;
}
