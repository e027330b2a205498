// NF4 with double quantisation (Dettmers et al. 2023, "QLoRA", section 3), after dynamic_8bit.wgsl:
// value = level[code] · absmax, one absmax per block of 64 consecutive elements. The absolute
// maxima, minus their mean ("offset"), are 8-bit codes in blocks of 256 with a scale each.
// The constants of a matrix are one array of words:
//   [offset, scale of blocks 0 to 255, 64 words of their codes, scale of blocks 256 to 511, …]
// @use dynamic_8bit
const NF4_BLOCK_OCTETS = 8u;
const NF4_SUPERBLOCK = 256u;

// The word of a block's scale, followed by the codes of its 256 blocks.
fn nf4_record(block: u32) -> u32 {
  return 1u + (1u + NF4_SUPERBLOCK / 4u) * (block / NF4_SUPERBLOCK);
}

// The word that holds a block's code.
fn nf4_code_word(block: u32) -> u32 {
  return nf4_record(block) + 1u + (block % NF4_SUPERBLOCK) / 4u;
}

fn nf4_absmax(block: u32, offset: u32, scale: u32, codes: u32) -> f32 {
  let place = f32((codes >> (8u * (block % 4u))) & 255u) - 127.0;
  let magnitude = dynamic_values(vec4<f32>(abs(place)), 1.0).x;
  return sign(place) * magnitude * bitcast<f32>(scale) + bitcast<f32>(offset);
}

fn nf4_pair(odd: vec4<bool>, even_level: f32, odd_level: f32) -> vec4<f32> {
  return select(vec4<f32>(even_level), vec4<f32>(odd_level), odd);
}

// The levels of the codes in a word's lowest 16 bits: equally probable steps of a normal
// distribution, and an exact zero. Selected bit by bit: with a table lookup, the product of one row
// took 14 times as long on a software adapter.
fn nf4_levels(word: u32) -> vec4<f32> {
  let codes = vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u);
  let bit0 = (codes & vec4<u32>(1u)) != vec4<u32>(0u);
  let bit1 = (codes & vec4<u32>(2u)) != vec4<u32>(0u);
  let bit2 = (codes & vec4<u32>(4u)) != vec4<u32>(0u);
  let bit3 = (codes & vec4<u32>(8u)) != vec4<u32>(0u);
  let negative = select(
    select(
      nf4_pair(bit0, -1.0, -0.6961928009986877),
      nf4_pair(bit0, -0.5250730514526367, -0.39491748809814453),
      bit1,
    ),
    select(
      nf4_pair(bit0, -0.28444138169288635, -0.18477343022823334),
      nf4_pair(bit0, -0.09105003625154495, 0.0),
      bit1,
    ),
    bit2,
  );
  let positive = select(
    select(
      nf4_pair(bit0, 0.07958029955625534, 0.16093020141124725),
      nf4_pair(bit0, 0.24611230194568634, 0.33791524171829224),
      bit1,
    ),
    select(
      nf4_pair(bit0, 0.44070982933044434, 0.5626170039176941),
      nf4_pair(bit0, 0.7229568362236023, 1.0),
      bit1,
    ),
    bit2,
  );
  return select(negative, positive, bit3);
}
