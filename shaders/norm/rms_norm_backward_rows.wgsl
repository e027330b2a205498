// rms_norm_backward.wgsl and rms_norm_backward_weight.wgsl in one, for software adapters: the same
// equations and operands. LANES threads own a group of rows, and add to the group's sums what they have
// loaded for dx anyway. Those that can hold a WHOLE row keep it, the weight and the sums in registers;
// otherwise one thread reads ROWS rows at a time, which share the loads of the weight and the sums, twice.
// On a card a group would be too much for a subgroup.
// @use bfloat16 | float32
// @use gradient_apart | gradient_in_place
// @use lanes_held
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

fn gain(octet: u32, offset: f32) -> mat2x4<f32> {
  let w = weight[octet];
  return mat2x4<f32>(w[0] + offset, w[1] + offset);
}

fn dot_with(before: vec4<f32>, w: mat2x4<f32>, dy: Eight, values: Eight) -> vec4<f32> {
  return before + w[0] * unpack_low(dy) * unpack_low(values) +
    w[1] * unpack_high(dy) * unpack_high(values);
}

fn sum_with(before: mat2x4<f32>, dy: Eight, values: Eight, scale: f32) -> mat2x4<f32> {
  return before + mat2x4<f32>(
    unpack_low(dy) * unpack_low(values) * scale,
    unpack_high(dy) * unpack_high(values) * scale,
  );
}

// pull: mean(g · x̂) · rstd
fn write_gradient(at: u32, w: mat2x4<f32>, dy: Eight, values: Eight, scale: f32, pull: f32) {
  var low = scale * (w[0] * unpack_low(dy) - pull * unpack_low(values));
  var high = scale * (w[1] * unpack_high(dy) - pull * unpack_high(values));
  if (ACCUMULATE) {
    let before = dx[at];
    low += unpack_low(before);
    high += unpack_high(before);
  }
  dx[at] = pack_eight(low, high);
}

fn held_rows(p: Params, group: u32, lane: u32) {
  let begin = group * p.group_rows;
  let end = min(p.rows, begin + min(p.group_rows, p.end));
  let sums_at = group * p.octets;
  var w: array<mat2x4<f32>, max(1u, HELD)>;
  var sums: array<mat2x4<f32>, max(1u, HELD)>;
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < p.octets) {
      w[k] = gain(i, p.offset);
      if (p.first + p.add_partial > 0u) { sums[k] = partial_sums[sums_at + i]; }
    }
  }
  for (var row = begin + p.first; row < end; row++) {
    let start = row * p.octets + lane;
    let scale = rstd[row];
    var dy: array<Eight, max(1u, HELD)>;
    var values: array<Eight, max(1u, HELD)>;
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (k * LANES + lane < p.octets) {
        dy[k] = incoming(start + k * LANES);
        values[k] = x[start + k * LANES];
      }
    }
    var dots = vec4<f32>(0.0);
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      dots = dot_with(dots, w[k], dy[k], values[k]);
      sums[k] = sum_with(sums[k], dy[k], values[k], scale);
    }
    let dot = near_sum(vec2<f32>(dots.x + dots.y + dots.z + dots.w)).x;
    let pull = dot * scale * scale / f32(p.columns);
    // @unroll
    for (var k = 0u; k < HELD; k++) {
      if (k * LANES + lane < p.octets) {
        write_gradient(start + k * LANES, w[k], dy[k], values[k], scale, pull);
      }
    }
  }
  // @unroll
  for (var k = 0u; k < HELD; k++) {
    let i = k * LANES + lane;
    if (i < p.octets) { partial_sums[sums_at + i] = sums[k]; }
  }
}

fn read_rows(p: Params, group: u32) {
  let begin = group * p.group_rows;
  let last = min(begin + p.group_rows, p.rows);
  let sums_at = group * p.octets;
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
      let w = gain(i, p.offset);
      var sum = partial_sums[sums_at + i];
      // @unroll
      for (var k = 0u; k < ROWS; k++) {
        let values = x[start[k] + i];
        let dy = incoming(start[k] + i);
        dots[k] = dot_with(dots[k], w, dy, values);
        if (row + k < last) { sum = sum_with(sum, dy, values, scale[k]); }
      }
      partial_sums[sums_at + i] = sum;
    }
    var pull: array<f32, ROWS>;
    // @unroll
    for (var k = 0u; k < ROWS; k++) {
      let dot = dots[k].x + dots[k].y + dots[k].z + dots[k].w;
      pull[k] = dot * scale[k] * scale[k] / f32(p.columns);
    }
    for (var i = 0u; i < p.octets; i++) {
      let w = gain(i, p.offset);
      // @unroll
      for (var k = 0u; k < ROWS; k++) {
        if (row + k < last) {
          let at = start[k] + i;
          write_gradient(at, w, incoming(at), x[at], scale[k], pull[k]);
        }
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let group = id.x * (WORKGROUP_SIZE / LANES) + local / LANES;
  if (group >= p.groups) { return; }
  if (WHOLE) { held_rows(p, group, local % LANES); } else { read_rows(p, group); }
}
