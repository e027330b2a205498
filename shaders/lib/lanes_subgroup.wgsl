// Lanes less than NEAR apart exchange registers. Twin: lanes_shared.wgsl.
//   Subgroups may be larger than NEAR, which is the smallest that the adapter may choose: a power of
// two, so that NEAR consecutive threads are always in one.
override NEAR: u32;

fn near_max(own: vec2<f32>) -> vec2<f32> {
  var values = own;
  if (LANES > 1u && NEAR > 1u) { values = max(values, subgroupShuffleXor(values, 1u)); }
  if (LANES > 2u && NEAR > 2u) { values = max(values, subgroupShuffleXor(values, 2u)); }
  if (LANES > 4u && NEAR > 4u) { values = max(values, subgroupShuffleXor(values, 4u)); }
  if (LANES > 8u && NEAR > 8u) { values = max(values, subgroupShuffleXor(values, 8u)); }
  if (LANES > 16u && NEAR > 16u) { values = max(values, subgroupShuffleXor(values, 16u)); }
  if (LANES > 32u && NEAR > 32u) { values = max(values, subgroupShuffleXor(values, 32u)); }
  if (LANES > 64u && NEAR > 64u) { values = max(values, subgroupShuffleXor(values, 64u)); }
  return values;
}

fn near_sum(own: vec2<f32>) -> vec2<f32> {
  var values = own;
  if (LANES > 1u && NEAR > 1u) { values += subgroupShuffleXor(values, 1u); }
  if (LANES > 2u && NEAR > 2u) { values += subgroupShuffleXor(values, 2u); }
  if (LANES > 4u && NEAR > 4u) { values += subgroupShuffleXor(values, 4u); }
  if (LANES > 8u && NEAR > 8u) { values += subgroupShuffleXor(values, 8u); }
  if (LANES > 16u && NEAR > 16u) { values += subgroupShuffleXor(values, 16u); }
  if (LANES > 32u && NEAR > 32u) { values += subgroupShuffleXor(values, 32u); }
  if (LANES > 64u && NEAR > 64u) { values += subgroupShuffleXor(values, 64u); }
  return values;
}
