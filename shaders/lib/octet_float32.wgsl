// Eight consecutive elements of a float32 matrix. octet_bfloat16, octet_int8, octet_int4 and
// octet_nf4 have the same interface, so that a kernel that reads octets supports every format.
struct Octet {
  low: vec4<f32>,
  high: vec4<f32>,
}

@group(0) @binding(0) var<storage, read> source: array<Octet>;

fn octet(index: u32) -> Octet {
  return source[index];
}
