// target = source / trace(source): of a matrix without negative eigenvalues, whose largest is then
// between 1/size and 1, so that its square stays within float32. Zeros stay zeros. Each workgroup
// sums the trace itself, in the same order: size numbers, compared with size² elements.
override WORKGROUP_SIZE: u32;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

struct Params {
  size: u32,
  row_quads: u32,
  quads: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;               // (size, size)
@group(0) @binding(1) var<storage, read_write> target_values: array<vec4<f32>>;  // the same
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  var own = 0.0;
  for (var i = local; i < params.size; i += WORKGROUP_SIZE) {
    own += source[i * params.row_quads + i / 4u][i % 4u];
  }
  sums[local] = own;
  workgroupBarrier();
  var trace = 0.0;
  for (var thread = 0u; thread < WORKGROUP_SIZE; thread++) { trace += sums[thread]; }
  let divisor = select(1.0, trace, trace > 0.0);
  for (var quad = id.x; quad < params.quads; quad += workgroups.x * WORKGROUP_SIZE) {
    target_values[quad] = source[quad] / divisor;
  }
}
