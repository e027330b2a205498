// attention.wgsl for a few queries over many keys, as in decoding: the same result, parameters and
// continuation in a later dispatch.                       (Dao et al. 2022, FlashAttention, alg. 1)
// A workgroup takes up to ROWS rows, a row being a query of one of the heads that share keys, and
// loops over blocks of keys: each thread computes the scores of one key, from a whole row of k, then
// sums a sixteenth of the block's values, LANES threads side by side reading a row of v. The sixteen
// parts have a running maximum and sum of their own and meet at the end, so a block takes only two
// barriers.
// @use bfloat16 | float32
// @use attention_first_keys, fours
// @const HEAD_QUADS   D / 4
// @const ROWS         1, 2 or 4

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, key/value head, block of rows)
  blocks: u32,         // blocks of rows per sequence and key/value head
  key_heads: u32,      // K
  group: u32,          // H / K
  query_length: u32,   // Tq
  key_length: u32,
  key_capacity: u32,   // S
  first_key: u32,      // keys in this dispatch
  end_key: u32,
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of q, k, v and out
  lse_stride: u32,
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;                   // (B·Tq, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;                   // (B·S, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;                   // (B·S, K·D)
@group(0) @binding(3) var<storage, read_write> out: array<Quad>;           // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;      // (B·Tq, H)
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 16u;
const PARTS = 16u;
const THREADS = LANES * PARTS;
const OUT_QUADS = (HEAD_QUADS + LANES - 1u) / LANES;

var<workgroup> queries: array<array<vec4<f32>, HEAD_QUADS>, ROWS>;
var<workgroup> scores: array<array<f32, THREADS>, ROWS>;
var<workgroup> statistics: array<array<vec2<f32>, PARTS>, ROWS>;   // maximum and total of a part
var<workgroup> exchange: array<vec4<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let part = thread / LANES;
  let lane = thread % LANES;
  let unit = params.first + group.x;
  let key_head = (unit / params.blocks) % params.key_heads;
  let sequence = unit / (params.blocks * params.key_heads);

  // Row r is query row % Tq of member row / Tq of the group; beyond the last, that is taken again.
  let rows = params.group * params.query_length;
  let row = min(four_from(unit % params.blocks * ROWS), vec4<u32>(rows - 1u));
  let head = key_head * params.group + row / params.query_length;
  let query = row % params.query_length;
  let stored = min(rows - unit % params.blocks * ROWS, ROWS);
  let q_at = (sequence * params.query_length + query) * params.q_quads + head * HEAD_QUADS;
  let row_base = (params.sequence + sequence) * params.query_length;
  let lse_at = (row_base + query) * params.lse_stride + head;

  // First and last visible key of each row.
  let lowest = first_key_of(row_base);
  let start = max(params.first_key, lowest);
  let end = min(params.end_key, params.key_length);
  if (start >= end) { return; }
  let continues = params.first_key > lowest;   // an earlier dispatch has processed some keys
  let first = first_keys_of(row_base + query);
  let last = min(query + (params.key_length - params.query_length), vec4<u32>(end - 1u));
  let k_head = sequence * params.key_capacity * params.k_quads + key_head * HEAD_QUADS;

  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    for (var d = thread; d < HEAD_QUADS; d += THREADS) { queries[r][d] = unpack(q[q_at[r] + d]); }
  }
  var old = vec4<f32>(LOWEST);
  if (continues) {
    // @unroll
    for (var r = 0u; r < ROWS; r++) { old[r] = logsumexp[lse_at[r]]; }
  }
  workgroupBarrier();   // also: all threads have read what one is about to overwrite
  storageBarrier();

  let scale_2 = params.scale * 1.4426950408889634;   // exp(scale · s) = exp2(scale_2 · s)
  var maximum = vec4<f32>(LOWEST);   // of this part's scores, before they are scaled
  var total = vec4<f32>(0.0);
  var sums: array<array<vec4<f32>, OUT_QUADS>, ROWS>;
  for (var block = start; block < end; block += THREADS) {
    let key = block + thread;
    let k_at = k_head + min(key, params.key_length - 1u) * params.k_quads;
    var s = array<vec4<f32>, ROWS>();
    for (var d = 0u; d < HEAD_QUADS; d++) {
      let quad = unpack(k[k_at + d]);
      // @unroll
      for (var r = 0u; r < ROWS; r++) { s[r] = fma(quad, queries[r][d], s[r]); }
    }
    workgroupBarrier();   // all threads have read the previous scores
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let score = (s[r].x + s[r].y) + (s[r].z + s[r].w);
      scores[r][thread] = select(LOWEST, score, key >= first[r] && key <= last[r]);
    }
    workgroupBarrier();

    let steps = min(PARTS, (end - block + PARTS - 1u) / PARTS);   // beyond them nothing is visible
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      var now = maximum[r];
      for (var n = 0u; n < steps; n++) { now = max(now, scores[r][part + PARTS * n]); }
      let shrink = exp2((maximum[r] - now) * scale_2);
      maximum[r] = now;
      total[r] *= shrink;
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) { sums[r][i] *= shrink; }
    }
    for (var n = 0u; n < steps; n++) {
      let column = part + PARTS * n;
      let v_at = k_head + min(block + column, params.key_length - 1u) * params.k_quads;
      var values: array<vec4<f32>, OUT_QUADS>;
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) {
        values[i] = unpack(v[v_at + min(lane + LANES * i, HEAD_QUADS - 1u)]);
      }
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let p = exp2((scores[r][column] - maximum[r]) * scale_2);
        total[r] += p;
        // @unroll
        for (var i = 0u; i < OUT_QUADS; i++) { sums[r][i] = fma(vec4<f32>(p), values[i], sums[r][i]); }
      }
    }
  }

  // The parts of each row.
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    if (lane == 0u) { statistics[r][part] = vec2<f32>(maximum[r], total[r]); }
  }
  workgroupBarrier();
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    var largest = LOWEST;
    for (var n = 0u; n < PARTS; n++) { largest = max(largest, statistics[r][n].x); }
    var sum = 0.0;
    for (var n = 0u; n < PARTS; n++) {
      sum += statistics[r][n].y * exp2((statistics[r][n].x - largest) * scale_2);
    }
    let own = exp2((maximum[r] - largest) * scale_2);
    largest *= params.scale;
    var shrink = 1.0;
    var before = 0.0;   // weight of the earlier keys
    if (continues) {
      let now = max(largest, old[r]);
      shrink = exp(largest - now);
      before = exp(old[r] - now);
      largest = now;
      sum = sum * shrink + before;
    }
    if (thread == 0u && r < stored) { logsumexp[lse_at[r]] = largest + log(sum); }
    // @unroll
    for (var i = 0u; i < OUT_QUADS; i++) {
      workgroupBarrier();   // all threads have read the previous quads
      exchange[thread] = sums[r][i] * own;
      workgroupBarrier();
      let d = lane + LANES * i;
      if (part == 0u && d < HEAD_QUADS && r < stored) {
        var values = vec4<f32>(0.0);
        for (var n = 0u; n < PARTS; n++) { values += exchange[n * LANES + lane]; }
        values *= shrink;
        if (continues) { values += unpack(out[q_at[r] + d]) * before; }
        out[q_at[r] + d] = pack(values / sum);
      }
    }
  }
}
