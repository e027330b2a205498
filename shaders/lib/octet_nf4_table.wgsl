// As octet_nf4.wgsl, with tables, which suit cards.
// @use nf4_table
struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> constants: array<u32>;

fn octet(index: u32) -> Octet {
  let block = (params.first_octet + index) / NF4_BLOCK_OCTETS;
  let absmax = nf4_absmax_read(
    block, constants[0], constants[nf4_record(block)], constants[nf4_code_word(block)],
  );
  let word = source[index];
  return Octet(absmax * nf4_levels_read(word), absmax * nf4_levels_read(word >> 16u));
}
