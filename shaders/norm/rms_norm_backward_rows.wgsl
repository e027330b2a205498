// rms_norm_backward.wgsl and rms_norm_backward_weight.wgsl in one, for software adapters: the same
// equations, operands and results, bit for bit. A thread owns a group of rows, ROWS at a time, which
// share the loads of the weight, and adds to the group's sums what it has loaded for dx anyway. On a
// card a group would be too much for a thread.
// @use bfloat16 | float32
// @use gradient_apart | gradient_in_place
override WORKGROUP_SIZE: u32;
override ACCUMULATE: bool;   // adds to dx

const ROWS = 8u;

struct Params {
  rows: u32,         // of this range
  columns: u32,
  octets: u32,       // row stride, in octets
  groups: u32,
  group_rows: u32,   // rows per group
  first: u32,        // rows of each group in this dispatch; a multiple of ROWS
  end: u32,
  add_partial: u32,  // 1 adds to partial: all ranges after the first
  offset: f32,
}

@group(0) @binding(1) var<storage, read> x: array<Eight>;               // (N, C)
@group(0) @binding(2) var<storage, read> weight: array<mat2x4<f32>>;    // (C)
@group(0) @binding(3) var<storage, read> rstd: array<f32>;              // (N)
@group(0) @binding(5) var<storage, read_write> partial_sums: array<mat2x4<f32>>;   // (G, C)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.groups) { return; }
  let begin = id.x * p.group_rows;
  let last = min(begin + p.group_rows, p.rows);
  let sums_at = id.x * p.octets;
  if (p.first + p.add_partial == 0u) {
    for (var i = 0u; i < p.octets; i++) { partial_sums[sums_at + i] = mat2x4<f32>(); }
  }
  for (var row = begin + p.first; row < min(last, begin + p.end); row += ROWS) {
    // In place of rows past the last one, that once more, which changes nothing.
    var start: array<u32, ROWS>;
    var scale: array<f32, ROWS>;
    var dots: array<vec4<f32>, ROWS>;
    // @unroll
    for (var k = 0u; k < ROWS; k++) {
      let place = min(row + k, last - 1u);
      start[k] = place * p.octets;
      scale[k] = rstd[place];
      dots[k] = vec4<f32>(0.0);
    }
    for (var i = 0u; i < p.octets; i++) {
      let w = weight[i];
      var sum = partial_sums[sums_at + i];
      // @unroll
      for (var k = 0u; k < ROWS; k++) {
        let values = x[start[k] + i];
        let dy = incoming(start[k] + i);
        let x_low = unpack_low(values);
        let x_high = unpack_high(values);
        let dy_low = unpack_low(dy);
        let dy_high = unpack_high(dy);
        dots[k] = dots[k] + (w[0] + p.offset) * dy_low * x_low + (w[1] + p.offset) * dy_high * x_high;
        if (row + k < last) {
          sum[0] += dy_low * x_low * scale[k];
          sum[1] += dy_high * x_high * scale[k];
        }
      }
      partial_sums[sums_at + i] = sum;
    }
    var pull: array<f32, ROWS>;
    // @unroll
    for (var k = 0u; k < ROWS; k++) {
      let dot = dots[k].x + dots[k].y + dots[k].z + dots[k].w;
      pull[k] = dot * scale[k] * scale[k] / f32(p.columns);   // mean(g · x̂) · rstd
    }
    for (var i = 0u; i < p.octets; i++) {
      let w = weight[i];
      // @unroll
      for (var k = 0u; k < ROWS; k++) {
        let at = start[k] + i;
        let values = x[at];
        let dy = incoming(at);
        var low = scale[k] * ((w[0] + p.offset) * unpack_low(dy) - pull[k] * unpack_low(values));
        var high = scale[k] * ((w[1] + p.offset) * unpack_high(dy) - pull[k] * unpack_high(values));
        if (ACCUMULATE) {
          let before = dx[at];
          low += unpack_low(before);
          high += unpack_high(before);
        }
        if (row + k < last) { dx[at] = pack_eight(low, high); }
      }
    }
  }
}
