// The gradient of the queries                              (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), causal; out = p · v
//   delta = rowsum(dout · out)           (B·T, H) overwritten: attention_backward_keys needs it
//   ds    = p · (dout · vᵀ − delta) / sqrt(D)
//   dq    = ds · k                       (B·T, H·D) overwritten
// The probabilities are computed again from the logsumexp: no matrix of them is ever in memory.
// The walk is that of attention.wgsl: a block of queries of one head over blocks of keys.

struct Params {
  first: u32,      // first unit of this dispatch: (sequence, head, block of queries)
  blocks: u32,     // blocks of queries in a sequence
  heads: u32,      // H
  group: u32,      // H / K
  length: u32,     // T
  q_quads: u32,    // strides of rows, in fours
  k_quads: u32,
  sequence: u32,   // first sequence that the operands, but logsumexp and delta, are bound from
  lse_stride: u32,
  scale: f32,      // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;                // (B·T, H·D)
@group(0) @binding(1) var<storage, read> k: array<Quad>;                // (B·T, K·D)
@group(0) @binding(2) var<storage, read> v: array<Quad>;                // (B·T, K·D)
@group(0) @binding(3) var<storage, read> out: array<Quad>;              // (B·T, H·D)
@group(0) @binding(4) var<storage, read> dout: array<Quad>;             // (B·T, H·D)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>;         // (B·T, H)
@group(0) @binding(6) var<storage, read_write> delta: array<f32>;       // (B·T, H)
@group(0) @binding(7) var<storage, read_write> dq: array<Quad>;         // (B·T, H·D)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> gradients: Block;
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

  let base = sequence * params.length;
  let statistics = params.sequence * params.length;
  let q_head = head * HEAD_QUADS;
  let k_head = (head / params.group) * HEAD_QUADS;
  // Query i of the block is row_lane + ROW_LANES · r; beyond the last, the last is done again.
  let first_query = block * BLOCK_ROWS;
  let last_query = params.length - 1u;
  let keys = min(first_query + BLOCK_ROWS, params.length);

  var query: array<u32, ROW_TILE>;
  var q_start: array<u32, ROW_TILE>;
  var lse: array<f32, ROW_TILE>;
  for (var r = 0u; r < ROW_TILE; r++) {
    query[r] = min(first_query + row_lane + ROW_LANES * r, last_query);
    q_start[r] = (base + query[r]) * params.q_quads + q_head;
    lse[r] = logsumexp[(statistics + base + query[r]) * params.lse_stride + head];
    var dots = vec4<f32>(0.0);
    for (var d = column_lane; d < HEAD_QUADS; d += COLUMN_LANES) {
      dots += unpack(out[q_start[r] + d]) * unpack(dout[q_start[r] + d]);
    }
    exchange[(row_lane + ROW_LANES * r) * COLUMN_LANES + column_lane] =
      dots.x + dots.y + dots.z + dots.w;
  }
  workgroupBarrier();
  var row_delta: array<f32, ROW_TILE>;
  for (var r = 0u; r < ROW_TILE; r++) {
    let row = row_lane + ROW_LANES * r;
    var sum = 0.0;
    for (var i = 0u; i < COLUMN_LANES; i++) { sum += exchange[row * COLUMN_LANES + i]; }
    row_delta[r] = sum;
    if (column_lane == 0u && first_query + row <= last_query) {
      delta[(statistics + base + query[r]) * params.lse_stride + head] = sum;
    }
  }

  var sums: array<vec4<f32>, ROW_TILE * OUT_QUADS>;
  for (var first_key = 0u; first_key < keys; first_key += BLOCK_COLUMNS) {
    let column = first_key + column_lane * COLUMN_TILE;
    var k_start: array<u32, COLUMN_TILE>;
    for (var c = 0u; c < COLUMN_TILE; c++) {
      k_start[c] = (base + min(column + c, last_query)) * params.k_quads + k_head;
    }
    var s = Tile();
    var dp = Tile();
    for (var d = 0u; d < HEAD_QUADS; d++) {
      var a: array<vec4<f32>, ROW_TILE>;
      var e: array<vec4<f32>, ROW_TILE>;
      for (var r = 0u; r < ROW_TILE; r++) {
        a[r] = unpack(q[q_start[r] + d]);
        e[r] = unpack(dout[q_start[r] + d]);
      }
      for (var c = 0u; c < COLUMN_TILE; c++) {
        let key = unpack(k[k_start[c] + d]);
        let value = unpack(v[k_start[c] + d]);
        for (var r = 0u; r < ROW_TILE; r++) {
          s[r * COLUMN_QUADS + c / 4u][c % 4u] += dot(a[r], key);
          dp[r * COLUMN_QUADS + c / 4u][c % 4u] += dot(e[r], value);
        }
      }
    }

    workgroupBarrier();   // the block before has been read by all
    for (var r = 0u; r < ROW_TILE; r++) {
      for (var c = 0u; c < COLUMN_QUADS; c++) {
        let key = vec4<u32>(column + 4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
        let p = exp(s[r * COLUMN_QUADS + c] * params.scale - lse[r]);
        let ds = p * (dp[r * COLUMN_QUADS + c] - row_delta[r]) * params.scale;
        gradients[(row_lane + ROW_LANES * r) * BLOCK_STRIDE + column_lane * COLUMN_QUADS + c] =
          select(vec4<f32>(0.0), ds, key <= vec4<u32>(query[r]));
      }
    }
    workgroupBarrier();

    // sums += ds · k
    for (var c = 0u; c < min(BLOCK_COLUMNS, keys - first_key); c += 4u) {
      var ds: array<vec4<f32>, ROW_TILE>;
      for (var r = 0u; r < ROW_TILE; r++) {
        ds[r] = gradients[(row_lane + ROW_LANES * r) * BLOCK_STRIDE + c / 4u];
      }
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = min(column_lane + COLUMN_LANES * i, HEAD_QUADS - 1u);
        for (var j = 0u; j < 4u; j++) {
          let key = min(first_key + c + j, last_query);
          let b = unpack(k[(base + key) * params.k_quads + k_head + d]);
          for (var r = 0u; r < ROW_TILE; r++) { sums[r * OUT_QUADS + i] += ds[r][j] * b; }
        }
      }
    }
  }

  for (var r = 0u; r < ROW_TILE; r++) {
    if (first_query + row_lane + ROW_LANES * r <= last_query) {
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + COLUMN_LANES * i;
        if (d < HEAD_QUADS) { dq[q_start[r] + d] = pack(sums[r * OUT_QUADS + i]); }
      }
    }
  }
}
