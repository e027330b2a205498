// forward: out[n] = scale · weight[tokens[n]]
//   dweight[v] += scale · Σ dx[n] over the n with tokens[n] = v   added: the head may share it
// A gather, not a scatter: WGSL has no float atomics, and a fixed order makes runs bitwise
// reproducible. Positions are sorted by token; the threads at the start of a run of equal tokens
// loop over the run and own the row of dweight, OCTETS octets each; the others are idle. A run is cut
// at the end of a dispatch; the next one adds the rest.
// @use bfloat16 | float32
// @const OCTETS
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
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let start = p.position + group.y * TILE + local.y;
  let first = group.x * TILE * OCTETS + local.x;
  if (first >= p.octets || start >= p.end) { return; }
  let token = sorted_tokens[start];
  // Rows before the range wrap around to large numbers, so that one comparison suffices.
  let target_row = token - p.first_token;
  if (target_row >= p.tokens) { return; }
  if (start > p.position && sorted_tokens[start - 1u] == token) { return; }
  var sums: array<mat2x4<f32>, OCTETS>;
  for (var i = start; i < p.end && sorted_tokens[i] == token; i++) {
    let row = order[i] - p.first_row;
    if (row < p.rows) {
      // @unroll
      for (var k = 0u; k < OCTETS; k++) {
        let octet = first + k * TILE;
        if (k == 0u || octet < p.octets) {
          let values = dx[row * p.octets + octet];
          sums[k] += mat2x4<f32>(unpack_low(values), unpack_high(values));
        }
      }
    }
  }
  // @unroll
  for (var k = 0u; k < OCTETS; k++) {
    let octet = first + k * TILE;
    if (k == 0u || octet < p.octets) { dweight[target_row * p.octets + octet] += p.scale * sums[k]; }
  }
}
