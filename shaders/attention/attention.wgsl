// out = softmax(q · kᵀ / sqrt(D) + mask) · v             (Dao et al. 2022, FlashAttention, alg. 1)
//   q (B·Tq, H·D), k and v (B·S, K·D), the first keyLength rows of each sequence valid;
//   query i sees keys from its first key to i + keyLength − Tq (lib/attention_first_keys.wgsl).
//   Heads share keys in groups of H / K.
//   saves logsumexp (B·Tq, H) of the scaled scores; out is overwritten.
// A workgroup takes a block of queries of one head and loops over blocks of keys with a running
// maximum and sum per row (online softmax), so that the score matrix never exists in memory. A
// later dispatch can continue where a loop ended: it reads out and logsumexp, and adds its part. A
// row may see none of the first blocks that its neighbours see: its maximum is then LOWEST, and
// whatever it summed is scaled to zero at its first visible key. Every row sees at least one: its
// own.
// @use bfloat16 | float32
// @use attention_tile, attention_rows, attention_first_keys, fours

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,         // blocks of queries per sequence
  heads: u32,          // H
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

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;           // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;      // (B·Tq, H)
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
  let sequence = unit / (params.blocks * params.heads);

  let first_query = block * BLOCK_ROWS;
  let end_query = min(first_query + BLOCK_ROWS, params.query_length);
  let shift = params.key_length - params.query_length;
  let row_base = (params.sequence + sequence) * params.query_length;
  let lowest = first_key_of(row_base + first_query) / CHUNK * CHUNK;
  let start = max(params.first_key, lowest);
  let end = min(params.end_key, end_query + shift);
  if (start >= end) { return; }
  let continues = params.first_key > lowest;   // an earlier dispatch has processed some keys
  // Keys that every query of the block sees.
  let all_from = first_key_of(row_base + end_query - 1u);
  let all_end = min(end, first_query + shift + 1u);

  // Where this thread's part of the tiles comes from. Beyond the last row it is read again.
  let q_head = (sequence * params.query_length) * params.q_quads + head * HEAD_QUADS;
  let q_first = q_head + (first_query + filled_row(thread)) * params.q_quads;
  let q_step = ROW_LANES * params.q_quads;
  let q_last = q_head + (end_query - 1u) * params.q_quads;
  let k_head = sequence * params.key_capacity * params.k_quads + head / params.group * HEAD_QUADS;
  let k_last = k_head + (params.key_length - 1u) * params.k_quads;
  let k_step = LANES * params.k_quads;

  let scale_2 = params.scale * 1.4426950408889634;   // exp(scale · s) = exp2(scale_2 · s)
  var maximum = Statistics();   // of the scores before they are scaled
  var total = Statistics();     // over this thread's columns
  // @unroll
  for (var g = 0u; g < GROUPS; g++) { maximum[g] = vec4<f32>(LOWEST); }
  var sums = Sums();
  for (var first_key = start; first_key < end; first_key += BLOCK_COLUMNS) {
    var s = Scores();
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

    if (first_key < all_from || first_key + BLOCK_COLUMNS > all_end) {
      let keys = vec4<u32>(first_key + lane) + LANES * vec4<u32>(0u, 1u, 2u, 3u);
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let query = min(first_query + row_lane + ROW_LANES * r, end_query - 1u);
        let first = first_key_of(row_base + query);
        let last = min(query + shift, end - 1u);
        let seen = (keys >= vec4<u32>(first)) & (keys <= vec4<u32>(last));
        s[r] = select(vec4<f32>(LOWEST), s[r], seen);
      }
    }

    // The new maximum of each row, shared by all its threads; earlier sums are rescaled.
    var now = maximum;
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      now[r / 4u][r % 4u] = max(now[r / 4u][r % 4u], largest_of(s[r]));
    }
    now = row_maxima(now, row_lane, lane);
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let shrink = exp2((maximum[r / 4u][r % 4u] - now[r / 4u][r % 4u]) * scale_2);
      s[r] = exp2((s[r] - now[r / 4u][r % 4u]) * scale_2);
      total[r / 4u][r % 4u] = fma(total[r / 4u][r % 4u], shrink, s[r].x + s[r].y + s[r].z + s[r].w);
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) { sums[r][i] *= shrink; }
    }
    maximum = now;

    // sums += probabilities · v
    for (var j = 0u; j < LANES; j += STEP) {
      let quad = value_quad(thread);
      let v_at = k_head + (first_key + j + value_column(thread)) * params.k_quads + quad;
      let v_end = k_last + quad;
      workgroupBarrier();
      if (j % CHUNK == 0u) { put_weights(&s, row_lane, lane, j); }
      // @unroll
      for (var i = 0u; i < COLUMN_FILLS; i++) {
        put_value(i, thread, unpack(v[min(v_at + i * k_step, v_end)]));
      }
      workgroupBarrier();
      add_weighted(&sums, row_lane, lane, j);
    }
  }

  total = row_sums(total, row_lane, lane);
  var old = Statistics();
  if (continues) {
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let row = row_base + min(first_query + row_lane + ROW_LANES * r, end_query - 1u);
      old[r / 4u][r % 4u] = logsumexp[row * params.lse_stride + head];
    }
    storageBarrier();   // all threads have read what one is about to overwrite
  }
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let query = first_query + row_lane + ROW_LANES * r;
    if (query < end_query) {
      var largest = maximum[r / 4u][r % 4u] * params.scale;
      var sum = total[r / 4u][r % 4u];
      var shrink = 1.0;
      var before = 0.0;   // weight of the earlier keys
      if (continues) {
        let now = max(largest, old[r / 4u][r % 4u]);
        shrink = exp(largest - now);
        before = exp(old[r / 4u][r % 4u] - now);
        largest = now;
        sum = sum * shrink + before;
      }
      if (lane == 0u) {
        logsumexp[(row_base + query) * params.lse_stride + head] = largest + log(sum);
      }
      let out_at = q_head + query * params.q_quads;
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = lane + LANES * i;
        if (d < HEAD_QUADS) {
          var values = sums[r][i] * shrink;
          if (continues) { values += unpack(out[out_at + d]) * before; }
          out[out_at + d] = pack(values / sum);
        }
      }
    }
  }
}
