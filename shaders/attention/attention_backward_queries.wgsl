// The gradient of the queries                              (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), masked; out = p · v
//   ds = p · (dout · vᵀ − delta) / sqrt(D),  delta = rowsum(dout · out) from attention_delta
//   dq = ds · k                          (B·T, H·D) overwritten by the first keys, then added to
// The probabilities are recomputed from the logsumexp: their matrix never exists in memory. The
// loop is that of attention.wgsl: a block of queries of one head over blocks of keys.
// @use bfloat16 | float32
// @use attention_tile, attention_first_keys

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,         // blocks of queries per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_key: u32,      // keys in this dispatch
  end_key: u32,
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(3) var<storage, read> dout: array<Quad>;             // (B·T, H·D)
@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;       // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dq: array<Quad>;         // (B·T, H·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / LANES;
  let lane = thread % LANES;
  let unit = params.first + group.x;
  // The last queries see most keys: they begin first, so that none of them runs alone at the end.
  let block = params.blocks - 1u - unit % params.blocks;
  let head = (unit / params.blocks) % params.heads;
  let base = (unit / (params.blocks * params.heads)) * params.length;

  let first_query = block * BLOCK_ROWS;
  let end_query = min(first_query + BLOCK_ROWS, params.length);
  let rows = params.sequence * params.length + base;
  let lowest = first_key_of(rows + first_query) / CHUNK * CHUNK;
  let start = max(params.first_key, lowest);
  let end = min(params.end_key, end_query);
  if (start >= end) { return; }
  // Keys that every query of the block sees.
  let all_from = first_key_of(rows + end_query - 1u);
  let all_end = min(end, first_query + 1u);

  // Where this thread's part of the tiles comes from. Beyond the last row it is read again.
  let q_head = base * params.q_quads + head * HEAD_QUADS;
  let q_first = q_head + (first_query + filled_row(thread)) * params.q_quads;
  let q_step = ROW_LANES * params.q_quads;
  let q_last = q_head + (end_query - 1u) * params.q_quads;
  let k_head = base * params.k_quads + head / params.group * HEAD_QUADS;
  let k_last = k_head + (params.length - 1u) * params.k_quads;
  let k_step = LANES * params.k_quads;

  var sums = Sums();
  for (var first_key = start; first_key < end; first_key += BLOCK_COLUMNS) {
    var s = Scores();
    var dp = Scores();
    let k_first = k_head + (first_key + filled_column(thread)) * params.k_quads;
    for (var part = 0u; part < HEAD_QUADS; part += CHUNK) {
      let quad = min(part + thread % CHUNK, HEAD_QUADS - 1u);
      let q_at = q_first + quad;
      let q_end = q_last + quad;
      let k_at = k_first + quad;
      let k_end = k_last + quad;
      workgroupBarrier();   // all threads have read the previous tiles
      // @unroll
      for (var i = 0u; i < ROW_FILLS; i++) {
        put_row(i, thread, unpack(q[min(q_at + i * q_step, q_end)]));
      }
      // @unroll
      for (var i = 0u; i < COLUMN_FILLS; i++) {
        put_column(i, thread, unpack(k[min(k_at + i * k_step, k_end)]));
      }
      workgroupBarrier();
      add_products(&s, row_lane, lane, min(CHUNK, HEAD_QUADS - part));
    }
    for (var part = 0u; part < HEAD_QUADS; part += CHUNK) {
      let quad = min(part + thread % CHUNK, HEAD_QUADS - 1u);
      let q_at = q_first + quad;
      let q_end = q_last + quad;
      let k_at = k_first + quad;
      let k_end = k_last + quad;
      workgroupBarrier();
      // @unroll
      for (var i = 0u; i < ROW_FILLS; i++) {
        put_row(i, thread, unpack(dout[min(q_at + i * q_step, q_end)]));
      }
      // @unroll
      for (var i = 0u; i < COLUMN_FILLS; i++) {
        put_column(i, thread, unpack(v[min(k_at + i * k_step, k_end)]));
      }
      workgroupBarrier();
      add_products(&dp, row_lane, lane, min(CHUNK, HEAD_QUADS - part));
    }

    let masked = first_key < all_from || first_key + BLOCK_COLUMNS > all_end;
    let keys = vec4<u32>(first_key + lane) + LANES * vec4<u32>(0u, 1u, 2u, 3u);
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let query = min(first_query + row_lane + ROW_LANES * r, end_query - 1u);
      let pair = delta[(rows + query) * params.pair_stride + head];
      var score = s[r] * params.scale - pair.y;
      var seen = vec4<bool>(true);
      if (masked) {
        seen = (keys >= vec4<u32>(first_key_of(rows + query))) &
          (keys <= vec4<u32>(min(query, end - 1u)));
        // A masked score may exceed the query's logsumexp, and exp would overflow.
        score = select(vec4<f32>(0.0), score, seen);
      }
      s[r] = exp(score) * (dp[r] - pair.x);
      if (masked) { s[r] = select(vec4<f32>(0.0), s[r], seen); }
    }

    // sums += ds · k
    for (var j = 0u; j < LANES; j += STEP) {
      let quad = value_quad(thread);
      let v_at = k_head + (first_key + j + value_column(thread)) * params.k_quads + quad;
      let v_end = k_last + quad;
      workgroupBarrier();
      if (j % CHUNK == 0u) { put_weights(&s, row_lane, lane, j); }
      // @unroll
      for (var i = 0u; i < COLUMN_FILLS; i++) {
        put_value(i, thread, unpack(k[min(v_at + i * k_step, v_end)]));
      }
      workgroupBarrier();
      add_weighted(&sums, row_lane, lane, j);
    }
  }

  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let query = first_query + row_lane + ROW_LANES * r;
    if (query < end_query) {
      let at = q_head + query * params.q_quads;
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = lane + LANES * i;
        if (d < HEAD_QUADS) {
          var sum = sums[r][i] * params.scale;
          // An earlier dispatch has processed some keys.
          if (params.first_key > lowest) { sum += unpack(dq[at + d]); }
          dq[at + d] = pack(sum);
        }
      }
    }
  }
}
