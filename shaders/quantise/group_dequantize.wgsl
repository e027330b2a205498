// target = (code − zero) · scale, by groups of consecutive elements of the padded matrix; an octet
// per thread. `codes` may be a row range of a matrix; the constants are the whole matrix's.
// @use group_int8 | group_int4
// @use group_of
// @use bfloat16 | float32
override WORKGROUP_SIZE: u32;
override GROUP_SHIFTS: bool;

struct Params {
  octets: u32,         // of this range
  first_octet: u32,    // index of the first octet in the whole matrix, for its constants
  group_octets: u32,
}

@group(0) @binding(0) var<storage, read> codes: array<Codes>;
@group(0) @binding(1) var<storage, read> constants: array<u32>;   // (groups), all
@group(0) @binding(2) var<storage, read_write> target_values: array<Eight>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // First of all: a processor loads a parameter once for all threads only outside of branches.
  let p = params;
  if (id.x >= p.octets) { return; }
  let group = group_of(GROUP_SHIFTS, p.first_octet + id.x, p.group_octets);
  let values = decode(load_codes(id.x), constants_in(constants[group]));
  target_values[id.x] = pack_eight(values.low, values.high);
}
