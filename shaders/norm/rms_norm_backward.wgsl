// forward: y = (weight + offset) · x̂, x̂ = x · rstd                (Zhang & Sennrich 2019, eq. 4)
//   g   = (weight + offset) · dy
//   dx (+)= rstd · (g − x̂ · mean_c(g · x̂))    added if the residual path already wrote dx
//   partial = sums of dy · x̂ over the rows of a workgroup; sum_rows reduces (G, C) to dweight
// Partial sums, not atomics: WGSL has no float atomics, and a fixed order makes runs bitwise
// reproducible. A workgroup first processes its columns, a quad per thread, then its rows, one per
// thread. The two halves are independent, but if dx is dy the first must have read what the second
// overwrites.
// @use bfloat16 | float32
// @use gradient_apart | gradient_in_place
override WORKGROUP_SIZE: u32;
override ACCUMULATE: bool;   // adds to dx

struct Params {
  rows: u32,         // of this range
  group_rows: u32,   // rows per workgroup
  columns: u32,
  quads: u32,        // row stride, in quads
  offset: f32,
  add_partial: u32,  // 1 adds to partial: all ranges after the first
}

@group(0) @binding(1) var<storage, read> x: array<Quad>;                   // (N, C)
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;         // (C)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;                 // (N)
@group(0) @binding(5) var<storage, read_write> partial_sums: array<vec4<f32>>;  // (G, C)
@group(1) @binding(0) var<uniform> params: Params;

fn row_gradient(row: u32) {
  let start = row * params.quads;
  let scale = rstd[row];
  var dots = vec4<f32>(0.0);
  for (var i = 0u; i < params.quads; i++) {
    dots += (weight[i] + params.offset) * incoming(start + i) * unpack(x[start + i]);
  }
  let dot = dots.x + dots.y + dots.z + dots.w;
  let pull = dot * scale * scale / f32(params.columns);   // mean(g · x̂) · rstd
  for (var i = 0u; i < params.quads; i++) {
    let g = (weight[i] + params.offset) * incoming(start + i);
    var d = scale * (g - pull * unpack(x[start + i]));
    if (ACCUMULATE) { d += unpack(dx[start + i]); }
    dx[start + i] = pack(d);
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = group.x * params.group_rows;
  let last = min(first + params.group_rows, params.rows);
  for (var quad = thread; quad < params.quads; quad += WORKGROUP_SIZE) {
    var sum = vec4<f32>(0.0);
    for (var row = first; row < last; row++) {
      let i = row * params.quads + quad;
      sum += incoming(i) * unpack(x[i]) * rstd[row];
    }
    let at = group.x * params.quads + quad;
    if (params.add_partial == 1u) { sum += partial_sums[at]; }
    partial_sums[at] = sum;
  }

  if (IN_PLACE) { storageBarrier(); }
  for (var row = first + thread; row < last; row += WORKGROUP_SIZE) { row_gradient(row); }
}
