// Threads less than NEAR apart exchange registers. Twin: attention_near_shared.wgsl.
//   NEAR is the smallest subgroup that the adapter may choose, or LANES if that is less; both are
// powers of two, so that NEAR consecutive threads are always in one subgroup.
// @const NEAR   4, 8 or 16

fn near_max(own: vec4<f32>) -> vec4<f32> {
  var values = max(own, subgroupShuffleXor(own, 1u));
  values = max(values, subgroupShuffleXor(values, 2u));
  if (NEAR > 4u) { values = max(values, subgroupShuffleXor(values, 4u)); }
  if (NEAR > 8u) { values = max(values, subgroupShuffleXor(values, 8u)); }
  return values;
}

fn near_sum(own: vec4<f32>) -> vec4<f32> {
  var values = own + subgroupShuffleXor(own, 1u);
  values += subgroupShuffleXor(values, 2u);
  if (NEAR > 4u) { values += subgroupShuffleXor(values, 4u); }
  if (NEAR > 8u) { values += subgroupShuffleXor(values, 8u); }
  return values;
}
