// Where the kernels of attention's gradients for software adapters keep scores: of one head after
// the other, the heads of a dispatch being `members` of each of its key/value heads, which are
// counted through the sequences. A texel has the scores of one key with four queries; its column is
// the key, its row theirs. The kernel's Params say which heads and queries.

struct Pair {
  base: u32,       // the first row of its sequence
  key_head: u32,
  head: u32,
}

fn pair_at(pair: u32) -> Pair {
  let key_heads = params.heads / params.group;
  let counted = params.first_key_head + pair / params.members;
  let key_head = counted % key_heads;
  let member = params.first_member + pair % params.members;
  return Pair(counted / key_heads * params.length, key_head, key_head * params.group + member);
}

// The row of texels of its first queries.
fn scores_of(pair: u32) -> u32 {
  return pair * 2u * ((params.end_query - params.first_query + 7u) / 8u);
}
