// Eight consecutive elements of an NF4 matrix: one word, lowest bits first. See octet_int8 for the
// parameters; all blocks have 64 elements.
// @use nf4
struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> constants: array<u32>;

fn octet(index: u32) -> Octet {
  let block = (params.first_octet + index) / NF4_BLOCK_OCTETS;
  let absmax = nf4_absmax(
    block, constants[0], constants[nf4_record(block)], constants[nf4_code_word(block)],
  );
  let word = source[index];
  return Octet(absmax * nf4_levels(word), absmax * nf4_levels(word >> 16u));
}
