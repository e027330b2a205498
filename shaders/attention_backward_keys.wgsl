// The gradients of the keys and values                     (Dao 2023, "FlashAttention-2", alg. 2)
// forward: p = exp(q · kᵀ / sqrt(D) − logsumexp), causal; out = p · v
//   ds = p · (dout · vᵀ − delta) / sqrt(D),  delta = rowsum(dout · out) from attention_backward.wgsl
//   dv = pᵀ · dout,  dk = dsᵀ · q        (B·T, K·D) overwritten
// The roles of attention.wgsl are swapped: a workgroup owns a block of keys of one key/value head
// and walks over the queries that see them, of all the heads that share it. So dk and dv are sums in
// registers, in a fixed order: no atomics, and no pass over partial sums.

struct Params {
  first: u32,      // first unit of this dispatch: (sequence, key/value head, block of keys)
  blocks: u32,     // blocks of keys in a sequence
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
@group(0) @binding(3) var<storage, read> dout: array<Quad>;             // (B·T, H·D)
@group(0) @binding(4) var<storage, read> logsumexp: array<f32>;         // (B·T, H)
@group(0) @binding(5) var<storage, read> delta: array<f32>;             // (B·T, H)
@group(0) @binding(6) var<storage, read_write> dk: array<Quad>;         // (B·T, K·D)
@group(0) @binding(7) var<storage, read_write> dv: array<Quad>;         // (B·T, K·D)
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> probabilities: Block;   // transposed: rows are keys
var<workgroup> gradients: Block;       // ds, transposed

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row_lane = thread / COLUMN_LANES;
  let column_lane = thread % COLUMN_LANES;
  let unit = params.first + group.x;
  let block = unit % params.blocks;
  let key_heads = params.heads / params.group;
  let key_head = (unit / params.blocks) % key_heads;
  let sequence = unit / (params.blocks * key_heads);

  let base = sequence * params.length;
  let statistics = params.sequence * params.length + base;
  let last = params.length - 1u;
  // Key i of the block is row_lane + ROW_LANES · r; beyond the last, the last is done again.
  let first_key = block * BLOCK_ROWS;
  var key: array<u32, ROW_TILE>;
  var k_start: array<u32, ROW_TILE>;
  for (var r = 0u; r < ROW_TILE; r++) {
    key[r] = min(first_key + row_lane + ROW_LANES * r, last);
    k_start[r] = (base + key[r]) * params.k_quads + key_head * HEAD_QUADS;
  }
  var dk_sums: array<vec4<f32>, ROW_TILE * OUT_QUADS>;
  var dv_sums: array<vec4<f32>, ROW_TILE * OUT_QUADS>;

  for (var member = 0u; member < params.group; member++) {
    let head = key_head * params.group + member;
    // Queries before the first key see nothing of this block.
    let from_query = first_key - first_key % BLOCK_COLUMNS;
    for (var first_query = from_query; first_query <= last; first_query += BLOCK_COLUMNS) {
      let column = first_query + column_lane * COLUMN_TILE;
      var q_start: array<u32, COLUMN_TILE>;
      for (var c = 0u; c < COLUMN_TILE; c++) {
        q_start[c] = (base + min(column + c, last)) * params.q_quads + head * HEAD_QUADS;
      }
      var s = Tile();
      var dp = Tile();
      for (var d = 0u; d < HEAD_QUADS; d++) {
        var a: array<vec4<f32>, ROW_TILE>;
        var e: array<vec4<f32>, ROW_TILE>;
        for (var r = 0u; r < ROW_TILE; r++) {
          a[r] = unpack(k[k_start[r] + d]);
          e[r] = unpack(v[k_start[r] + d]);
        }
        for (var c = 0u; c < COLUMN_TILE; c++) {
          let query = unpack(q[q_start[c] + d]);
          let gradient = unpack(dout[q_start[c] + d]);
          for (var r = 0u; r < ROW_TILE; r++) {
            s[r * COLUMN_QUADS + c / 4u][c % 4u] += dot(a[r], query);
            dp[r * COLUMN_QUADS + c / 4u][c % 4u] += dot(e[r], gradient);
          }
        }
      }

      workgroupBarrier();   // the blocks before have been read by all
      for (var c = 0u; c < COLUMN_QUADS; c++) {
        let query = vec4<u32>(column + 4u * c) + vec4<u32>(0u, 1u, 2u, 3u);
        let inside = query <= vec4<u32>(last);
        let at = (statistics + min(query, vec4<u32>(last))) * params.lse_stride + head;
        let lse = vec4<f32>(
          logsumexp[at.x], logsumexp[at.y], logsumexp[at.z], logsumexp[at.w],
        );
        let row_delta = vec4<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
        for (var r = 0u; r < ROW_TILE; r++) {
          let seen = inside & (query >= vec4<u32>(key[r]));
          let p = select(
            vec4<f32>(0.0), exp(s[r * COLUMN_QUADS + c] * params.scale - lse), seen,
          );
          let at_block = (row_lane + ROW_LANES * r) * BLOCK_STRIDE + column_lane * COLUMN_QUADS + c;
          probabilities[at_block] = p;
          gradients[at_block] = p * (dp[r * COLUMN_QUADS + c] - row_delta) * params.scale;
        }
      }
      workgroupBarrier();

      // dv += pᵀ · dout, dk += dsᵀ · q
      for (var c = 0u; c < min(BLOCK_COLUMNS, last + 1u - first_query); c += 4u) {
        var p: array<vec4<f32>, ROW_TILE>;
        var ds: array<vec4<f32>, ROW_TILE>;
        for (var r = 0u; r < ROW_TILE; r++) {
          let at = (row_lane + ROW_LANES * r) * BLOCK_STRIDE + c / 4u;
          p[r] = probabilities[at];
          ds[r] = gradients[at];
        }
        for (var i = 0u; i < OUT_QUADS; i++) {
          let d = min(column_lane + COLUMN_LANES * i, HEAD_QUADS - 1u);
          for (var j = 0u; j < 4u; j++) {
            let query = base + min(first_query + c + j, last);
            let at = query * params.q_quads + head * HEAD_QUADS + d;
            let gradient = unpack(dout[at]);
            let vector = unpack(q[at]);
            for (var r = 0u; r < ROW_TILE; r++) {
              dv_sums[r * OUT_QUADS + i] += p[r][j] * gradient;
              dk_sums[r * OUT_QUADS + i] += ds[r][j] * vector;
            }
          }
        }
      }
    }
  }

  for (var r = 0u; r < ROW_TILE; r++) {
    if (first_key + row_lane + ROW_LANES * r <= last) {
      for (var i = 0u; i < OUT_QUADS; i++) {
        let d = column_lane + COLUMN_LANES * i;
        if (d < HEAD_QUADS) {
          dk[k_start[r] + d] = pack(dk_sums[r * OUT_QUADS + i]);
          dv[k_start[r] + d] = pack(dv_sums[r * OUT_QUADS + i]);
        }
      }
    }
  }
}
