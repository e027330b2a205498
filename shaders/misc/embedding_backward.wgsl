// forward: out[n] = scale · weight[tokens[n]]
//   dweight[v] += scale · Σ dx[n] over the n with tokens[n] = v   added: the head may share it
// A gather, not a scatter: WGSL has no float atomics, and a fixed order makes runs bitwise
// reproducible. Positions are sorted by token; the thread at the start of a run of equal tokens
// loops over the run and owns the row of dweight, the others are idle. A run is cut at the end of a
// dispatch; the next one adds the rest.
// @use bfloat16 | float32
override TILE: u32;

struct Params {
  octets: u32,       // row stride, in octets
  position: u32,     // first position of this range
  end: u32,          // one past its last
  first_row: u32,    // first row of dx in this range
  rows: u32,         // rows of dx in this range
  first_token: u32,  // that of the first row of dweight
  tokens: u32,       // rows of dweight in this range
  scale: f32,
}

@group(0) @binding(0) var<storage, read> dx: array<Eight>;                    // (N, C)
@group(0) @binding(1) var<storage, read> order: array<u32>;                   // (N)
@group(0) @binding(2) var<storage, read> sorted_tokens: array<u32>;           // (N)
@group(0) @binding(3) var<storage, read_write> dweight: array<mat2x4<f32>>;   // (V, C)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let start = p.position + id.y;
  if (id.x >= p.octets || start >= p.end) { return; }
  let token = sorted_tokens[start];
  // Rows before the range wrap around to large numbers, so that one comparison suffices.
  let target_row = token - p.first_token;
  if (target_row >= p.tokens) { return; }
  if (start > p.position && sorted_tokens[start - 1u] == token) { return; }
  var sum = mat2x4<f32>();
  for (var i = start; i < p.end && sorted_tokens[i] == token; i++) {
    let row = order[i] - p.first_row;
    if (row < p.rows) {
      let values = dx[row * p.octets + id.x];
      sum += mat2x4<f32>(unpack_low(values), unpack_high(values));
    }
  }
  dweight[target_row * p.octets + id.x] += p.scale * sum;
}
