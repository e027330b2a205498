// out[n] = scale · weight[tokens[n]]
//   out (N, C) is overwritten. The table may exceed one binding: each dispatch binds a range of its
//   rows and writes only the tokens in it; together they write every row.
//   A thread takes OCTETS octets of a row, so as to read its token once for all of them.
// @use bfloat16 | float32
// @use weight_float32 | weight_bfloat16 | weight_int8 | weight_nf4
// @const OCTETS
override TILE: u32;

struct Params {
  rows: u32,         // of out, in this range
  octets: u32,       // row stride, in octets
  row: u32,          // first row of out in this range
  first_token: u32,  // first row of weight in this range
  tokens: u32,       // rows of weight in this range
  scale: f32,
  first_octet: u32,  // of this range of weight, in the whole matrix, for its constants
  group_octets: u32,
}

@group(0) @binding(0) var<storage, read> tokens: array<u32>;           // (N)
@group(0) @binding(1) var<storage, read> weight: array<WeightOctet>;   // (V, C); int8, nf4: + constants
@group(0) @binding(2) var<storage, read_write> out: array<Eight>;      // (N, C)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(TILE, TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  let row = group.y * TILE + local.y;
  let first = group.x * TILE * OCTETS + local.x;
  if (first >= p.octets || row >= p.rows) { return; }
  // Tokens before the range wrap around to large numbers, so that one comparison suffices.
  let token = tokens[p.row + row] - p.first_token;
  if (token >= p.tokens) { return; }
  // @unroll
  for (var k = 0u; k < OCTETS; k++) {
    let i = first + k * TILE;
    if (k == 0u || i < p.octets) {
      let values = p.scale * load_weight(token * p.octets + i);
      out[row * p.octets + i] = pack_eight(values[0], values[1]);
    }
  }
}
