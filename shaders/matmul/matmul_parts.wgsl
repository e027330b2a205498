// c = alpha · Σ_p parts[p] [+ c] [+ residual]: adds the partial sums of a product whose terms were
// split among workgroups, in order, one thread for four columns of a row.
// @use bfloat16 | float32
// @use matmul_store
override SIDE: u32;   // threads of a workgroup in each direction

struct Params {
  rows: u32,
  columns: u32,
  row_quads: u32,
  first_quad: u32,
  alpha: f32,
  parts: u32,
  part_row_quads: u32,   // a row's stride in a part
  part_quads: u32,       // from one part to the next
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;   // (P, M, N)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.part_row_quads || id.y >= params.rows) { return; }
  let first = id.y * params.part_row_quads + id.x;
  var sum = vec4<f32>(0.0);
  for (var p = 0u; p < params.parts; p++) { sum += parts[first + p * params.part_quads]; }
  store_quad(id.y, id.x, sum);
}
