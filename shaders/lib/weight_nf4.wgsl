// Octets of a frozen weight matrix in NF4: value = level · absmax of its block of 64; `weight` is a
// binding of the kernel, whose Params hold first_octet. Twins: weight_bfloat16.wgsl,
// weight_float32.wgsl, weight_int8.wgsl.
// @use nf4
alias WeightOctet = u32;

@group(0) @binding(3) var<storage, read> constants: array<u32>;   // see nf4.wgsl

fn load_weight(octet: u32) -> mat2x4<f32> {
  let block = (params.first_octet + octet) / NF4_BLOCK_OCTETS;
  let absmax = nf4_absmax(
    block, constants[0], constants[nf4_record(block)], constants[nf4_code_word(block)],
  );
  let word = weight[octet];
  return mat2x4<f32>(absmax * nf4_levels(word), absmax * nf4_levels(word >> 16u));
}
