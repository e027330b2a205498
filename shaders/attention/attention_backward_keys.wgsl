// The gradients of the keys and values                     (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), masked; out = p · v
//   ds = p · (dout · vᵀ − delta) / sqrt(D),  delta = rowsum(dout · out) from attention_delta
//   dv = pᵀ · dout,  dk = dsᵀ · q        (B·T, K·D) overwritten, or added to
// The roles of attention.wgsl are swapped: a workgroup owns a block of keys of one key/value head
// and loops over the queries that see them, in all heads that share it. So dk and dv are summed in
// registers, in a fixed order, without atomics or a pass over partial sums. First keys never
// decrease, so the loop ends at the first block of queries that sees only later keys.
// @use bfloat16 | float32
// @use attention_tile, attention_first_keys

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, key/value head, block of keys)
  blocks: u32,         // blocks of keys per sequence
  heads: u32,          // H
  group: u32,          // H / K
  length: u32,         // T
  first_member: u32,   // heads of a group in this dispatch
  end_member: u32,
  first_query: u32,    // queries of each in this dispatch
  end_query: u32,
  accumulate: u32,     // 1 adds to dk and dv
  q_quads: u32,        // row strides, in quads
  k_quads: u32,
  sequence: u32,       // first sequence in the bindings of all operands but delta and first_keys
  pair_stride: u32,    // row stride of delta, in pairs
  has_first_keys: u32, // 0 or 1
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(3) var<storage, read> dout: array<Quad>;             // (B·T, H·D)
@group(0) @binding(4) var<storage, read> delta: array<vec2<f32>>;       // (B·T, H) with logsumexp
@group(0) @binding(5) var<storage, read_write> dk: array<Quad>;         // (B·T, K·D)
@group(0) @binding(6) var<storage, read_write> dv: array<Quad>;         // (B·T, K·D)
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / LANES;
  let lane = thread % LANES;
  let unit = params.first + group.x;
  let block = unit % params.blocks;
  let key_heads = params.heads / params.group;
  let key_head = (unit / params.blocks) % key_heads;
  let base = (unit / (params.blocks * key_heads)) * params.length;

  let first_key = block * BLOCK_ROWS;
  let end_key = min(first_key + BLOCK_ROWS, params.length);
  // Causality: queries before the first key see none of this block.
  let start = max(params.first_query, first_key / BLOCK_COLUMNS * BLOCK_COLUMNS);
  let rows = params.sequence * params.length + base;
  if (params.accumulate == 1u) {
    if (start >= params.end_query) { return; }
    if (first_key_of(rows + start) >= end_key) { return; }
  }

  // Where this thread's part of the tiles comes from. Beyond the last row it is read again.
  let k_head = base * params.k_quads + key_head * HEAD_QUADS;
  let k_first = k_head + (first_key + filled_row(thread)) * params.k_quads;
  let k_step = ROW_LANES * params.k_quads;
  let k_last = k_head + (end_key - 1u) * params.k_quads;
  let q_step = LANES * params.q_quads;

  var dk_sums = Sums();
  var dv_sums = Sums();
  for (var member = params.first_member; member < params.end_member; member++) {
    let head = key_head * params.group + member;
    let q_head = base * params.q_quads + head * HEAD_QUADS;
    let q_last = q_head + (params.length - 1u) * params.q_quads;
    for (var first_query = start; first_query < params.end_query; first_query += BLOCK_COLUMNS) {
      if (first_key_of(rows + first_query) >= end_key) { break; }
      let q_first = q_head + (first_query + filled_column(thread)) * params.q_quads;
      var s = Scores();
      for (var part = 0u; part < HEAD_QUADS; part += CHUNK) {
        let quad = min(part + thread % CHUNK, HEAD_QUADS - 1u);
        let q_at = q_first + quad;
        let q_end = q_last + quad;
        let k_at = k_first + quad;
        let k_end = k_last + quad;
        workgroupBarrier();   // all threads have read the previous tiles
        // @unroll
        for (var i = 0u; i < ROW_FILLS; i++) {
          put_row(i, thread, unpack(k[min(k_at + i * k_step, k_end)]));
        }
        // @unroll
        for (var i = 0u; i < COLUMN_FILLS; i++) {
          put_column(i, thread, unpack(q[min(q_at + i * q_step, q_end)]));
        }
        workgroupBarrier();
        add_products(&s, row_lane, lane, min(CHUNK, HEAD_QUADS - part));
      }

      // s becomes p. Queries are columns: their statistics and what they see.
      let end = min(params.end_query, params.length);
      let queries = vec4<u32>(first_query + lane) + LANES * vec4<u32>(0u, 1u, 2u, 3u);
      let at = (rows + min(queries, vec4<u32>(params.length - 1u))) * params.pair_stride + head;
      let lse = vec4<f32>(delta[at.x].y, delta[at.y].y, delta[at.z].y, delta[at.w].y);
      let end_block = first_query + BLOCK_COLUMNS;
      let masked = first_query + 1u < end_key || end_block > end ||
        first_key_of(rows + min(end_block, end) - 1u) > first_key;
      var first = vec4<u32>(0u);
      if (masked) { first = first_keys_of(rows + min(queries, vec4<u32>(params.length - 1u))); }
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let key = first_key + row_lane + ROW_LANES * r;
        var score = s[r] * params.scale - lse;
        var seen = vec4<bool>(true);
        if (masked) {
          seen = (queries >= vec4<u32>(key)) & (queries < vec4<u32>(end)) &
            (first <= vec4<u32>(key));
          // A masked score may exceed the query's logsumexp, and exp would overflow.
          score = select(vec4<f32>(0.0), score, seen);
        }
        s[r] = exp(score);
        if (masked) { s[r] = select(vec4<f32>(0.0), s[r], seen); }
      }

      // dv += pᵀ · dout
      for (var j = 0u; j < LANES; j += STEP) {
        let quad = value_quad(thread);
        let v_at = q_head + (first_query + j + value_column(thread)) * params.q_quads + quad;
        let v_end = q_last + quad;
        workgroupBarrier();
        if (j % CHUNK == 0u) { put_weights(&s, row_lane, lane, j); }
        // @unroll
        for (var i = 0u; i < COLUMN_FILLS; i++) {
          put_value(i, thread, unpack(dout[min(v_at + i * q_step, v_end)]));
        }
        workgroupBarrier();
        add_weighted(&dv_sums, row_lane, lane, j);
      }

      var dp: Scores;   // and − delta, here to begin with
      let row_delta = vec4<f32>(delta[at.x].x, delta[at.y].x, delta[at.z].x, delta[at.w].x);
      // @unroll
      for (var r = 0u; r < ROWS; r++) { dp[r] = -row_delta; }
      for (var part = 0u; part < HEAD_QUADS; part += CHUNK) {
        let quad = min(part + thread % CHUNK, HEAD_QUADS - 1u);
        let q_at = q_first + quad;
        let q_end = q_last + quad;
        let k_at = k_first + quad;
        let k_end = k_last + quad;
        workgroupBarrier();
        // @unroll
        for (var i = 0u; i < ROW_FILLS; i++) {
          put_row(i, thread, unpack(v[min(k_at + i * k_step, k_end)]));
        }
        // @unroll
        for (var i = 0u; i < COLUMN_FILLS; i++) {
          put_column(i, thread, unpack(dout[min(q_at + i * q_step, q_end)]));
        }
        workgroupBarrier();
        add_products(&dp, row_lane, lane, min(CHUNK, HEAD_QUADS - part));
      }

      // dk += dsᵀ · q
      // @unroll
      for (var r = 0u; r < ROWS; r++) { s[r] *= dp[r]; }
      for (var j = 0u; j < LANES; j += STEP) {
        let quad = value_quad(thread);
        let v_at = q_head + (first_query + j + value_column(thread)) * params.q_quads + quad;
        let v_end = q_last + quad;
        workgroupBarrier();
        if (j % CHUNK == 0u) { put_weights(&s, row_lane, lane, j); }
        // @unroll
        for (var i = 0u; i < COLUMN_FILLS; i++) {
          put_value(i, thread, unpack(q[min(v_at + i * q_step, v_end)]));
        }
        workgroupBarrier();
        add_weighted(&dk_sums, row_lane, lane, j);
      }
    }
  }

  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let key = first_key + row_lane + ROW_LANES * r;
    if (key < end_key) {
      let at = k_head + key * params.k_quads;
      // @unroll
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = lane + LANES * i;
        if (d < HEAD_QUADS) {
          var dk_sum = dk_sums[r][i] * params.scale;
          var dv_sum = dv_sums[r][i];
          if (params.accumulate == 1u) {
            dk_sum += unpack(dk[at + d]);
            dv_sum += unpack(dv[at + d]);
          }
          dk[at + d] = pack(dk_sum);
          dv[at + d] = pack(dv_sum);
        }
      }
    }
  }
}
