// out = softmax(q · kᵀ / sqrt(D) + causal mask) · v        (Dao et al. 2022, "FlashAttention", alg. 1)
//   q (B·Tq, H·D), k and v (B·S, K·D) of which a sequence's first keyLength rows are there;
//   query i sees the keys up to i + keyLength − Tq. Heads share keys in groups of H / K.
//   saves logsumexp (B·Tq, H) of the scaled scores; out is overwritten.
// A workgroup takes a block of queries of one head and walks over blocks of keys with a running
// maximum and sum a row (online softmax), so no matrix of scores is ever in memory.

struct Params {
  first: u32,          // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,         // blocks of queries in a sequence
  heads: u32,          // H
  group: u32,          // H / K
  query_length: u32,   // Tq
  key_length: u32,
  key_capacity: u32,   // S
  q_quads: u32,        // strides of rows, in fours
  k_quads: u32,
  sequence: u32,       // first sequence that q, k, v and out are bound from
  lse_stride: u32,
  scale: f32,          // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;                   // (B·Tq, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;                   // (B·S, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;                   // (B·S, K·D)
@group(0) @binding(3) var<storage, read_write> out: array<Quad>;           // (B·Tq, H·D)
@group(0) @binding(4) var<storage, read_write> logsumexp: array<f32>;      // (B·Tq, H)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> probabilities: Block;
var<workgroup> exchange: array<f32, BLOCK_ROWS * COLUMN_LANES>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / COLUMN_LANES;
  let column_lane = thread % COLUMN_LANES;
  let unit = params.first + group.x;
  let block = unit % params.blocks;
  let head = (unit / params.blocks) % params.heads;
  let sequence = unit / (params.blocks * params.heads);

  let q_base = sequence * params.query_length;
  let k_base = sequence * params.key_capacity;
  let q_head = head * HEAD_QUADS;
  let k_head = (head / params.group) * HEAD_QUADS;
  // Query i of the block is row_lane + ROW_LANES · r; beyond the last, the last is done again.
  let first_query = block * BLOCK_ROWS;
  let last_query = params.query_length - 1u;
  let shift = params.key_length - params.query_length;
  let keys = min(first_query + BLOCK_ROWS - 1u, last_query) + shift + 1u;

  var q_start: array<u32, ROW_TILE>;
  var visible: array<u32, ROW_TILE>;   // the last key that the row sees
  var maximum: array<f32, ROW_TILE>;
  var total: array<f32, ROW_TILE>;     // of this thread's columns
  for (var r = 0u; r < ROW_TILE; r++) {
    let query = min(first_query + row_lane + ROW_LANES * r, last_query);
    q_start[r] = (q_base + query) * params.q_quads + q_head;
    visible[r] = query + shift;
    maximum[r] = LOWEST;
    total[r] = 0.0;
  }
  var sums: array<vec4<f32>, ROW_TILE * OUT_QUADS>;

  for (var first_key = 0u; first_key < keys; first_key += BLOCK_COLUMNS) {
    // Scores of this thread's tile: its columns are neighbours.
    let column = first_key + column_lane * COLUMN_TILE;
    var s = Tile();   // written out: without it naga does not clear s in every round
    var k_start: array<u32, COLUMN_TILE>;
    for (var c = 0u; c < COLUMN_TILE; c++) {
      let key = min(column + c, params.key_length - 1u);
      k_start[c] = (k_base + key) * params.k_quads + k_head;
    }
    for (var d = 0u; d < HEAD_QUADS; d++) {
      var a: array<vec4<f32>, ROW_TILE>;
      for (var r = 0u; r < ROW_TILE; r++) { a[r] = unpack(q[q_start[r] + d]); }
      for (var c = 0u; c < COLUMN_QUADS; c++) {
        var b: array<vec4<f32>, 4>;
        for (var i = 0u; i < 4u; i++) { b[i] = unpack(k[k_start[4u * c + i] + d]); }
        for (var r = 0u; r < ROW_TILE; r++) {
          s[r * COLUMN_QUADS + c] +=
            vec4<f32>(dot(a[r], b[0]), dot(a[r], b[1]), dot(a[r], b[2]), dot(a[r], b[3]));
        }
      }
    }

    // Mask, and the maximum of the thread's part of each row.
    for (var r = 0u; r < ROW_TILE; r++) {
      var highest = LOWEST;
      for (var c = 0u; c < COLUMN_QUADS; c++) {
        let key = vec4<u32>(column + 4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
        let masked = select(
          vec4<f32>(LOWEST), s[r * COLUMN_QUADS + c] * params.scale, key <= vec4<u32>(visible[r]),
        );
        s[r * COLUMN_QUADS + c] = masked;
        highest = max(highest, max(max(masked.x, masked.y), max(masked.z, masked.w)));
      }
      exchange[(row_lane + ROW_LANES * r) * COLUMN_LANES + column_lane] = highest;
    }
    workgroupBarrier();

    // The new maximum of each row, agreed by all its threads; what was summed before shrinks.
    for (var r = 0u; r < ROW_TILE; r++) {
      let row = row_lane + ROW_LANES * r;
      var highest = maximum[r];
      for (var i = 0u; i < COLUMN_LANES; i++) {
        highest = max(highest, exchange[row * COLUMN_LANES + i]);
      }
      let shrink = exp(maximum[r] - highest);
      maximum[r] = highest;
      total[r] *= shrink;
      for (var i = 0u; i < OUT_QUADS; i++) { sums[r * OUT_QUADS + i] *= shrink; }
      for (var c = 0u; c < COLUMN_QUADS; c++) {
        let p = exp(s[r * COLUMN_QUADS + c] - highest);
        total[r] += p.x + p.y + p.z + p.w;
        probabilities[row * BLOCK_STRIDE + column_lane * COLUMN_QUADS + c] = p;
      }
    }
    workgroupBarrier();

    // sums += probabilities · v
    for (var c = 0u; c < min(BLOCK_COLUMNS, keys - first_key); c += 4u) {
      var p: array<vec4<f32>, ROW_TILE>;
      for (var r = 0u; r < ROW_TILE; r++) {
        p[r] = probabilities[(row_lane + ROW_LANES * r) * BLOCK_STRIDE + c / 4u];
      }
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = min(column_lane + COLUMN_LANES * i, HEAD_QUADS - 1u);
        var b: array<vec4<f32>, 4>;
        for (var j = 0u; j < 4u; j++) {
          let key = min(first_key + c + j, params.key_length - 1u);
          b[j] = unpack(v[(k_base + key) * params.k_quads + k_head + d]);
        }
        for (var r = 0u; r < ROW_TILE; r++) {
          sums[r * OUT_QUADS + i] += p[r].x * b[0] + p[r].y * b[1] + p[r].z * b[2] + p[r].w * b[3];
        }
      }
    }
    // The next block overwrites `exchange` at once, and `probabilities` after one barrier more,
    // which every thread reaches only when it is done here.
  }

  for (var r = 0u; r < ROW_TILE; r++) {
    exchange[(row_lane + ROW_LANES * r) * COLUMN_LANES + column_lane] = total[r];
  }
  workgroupBarrier();
  for (var r = 0u; r < ROW_TILE; r++) {
    let row = row_lane + ROW_LANES * r;
    let query = first_query + row;
    if (query <= last_query) {
      var sum = 0.0;
      for (var i = 0u; i < COLUMN_LANES; i++) { sum += exchange[row * COLUMN_LANES + i]; }
      if (column_lane == 0u) {
        let at = (params.sequence + sequence) * params.query_length + query;
        logsumexp[at * params.lse_stride + head] = maximum[r] + log(sum);
      }
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + COLUMN_LANES * i;
        if (d < HEAD_QUADS) { out[q_start[r] + d] = pack(sums[r * OUT_QUADS + i] / sum); }
      }
    }
  }
}
