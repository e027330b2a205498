// What nf4.wgsl computes, read from tables in workgroup memory, which takes a card a third of the
// instructions. A workgroup of at least 64 threads fills them once.
// @use nf4
var<workgroup> nf4_level: array<f32, 16>;           // by code
var<workgroup> nf4_maximum: array<vec4<f32>, 64>;   // absolute maxima: [code / 4][code % 4]

fn prepare_tables(thread: u32) {
  if (thread < 16u) { nf4_level[thread] = nf4_levels(thread).x; }
  if (thread < 64u) { nf4_maximum[thread] = decode_signed(0x03020100u + 0x04040404u * thread); }
  workgroupBarrier();
}

fn nf4_absmax_read(block: u32, offset: u32, scale: u32, codes: u32) -> f32 {
  let code = (codes >> (8u * (block % 4u))) & 255u;
  return nf4_maximum[code / 4u][code % 4u] * bitcast<f32>(scale) + bitcast<f32>(offset);
}

fn nf4_levels_read(word: u32) -> vec4<f32> {
  return vec4<f32>(
    nf4_level[word & 15u],
    nf4_level[(word >> 4u) & 15u],
    nf4_level[(word >> 8u) & 15u],
    nf4_level[(word >> 12u) & 15u],
  );
}
