// LANES threads share a block, of which each keeps HELD octets in registers; if that is not the WHOLE
// block, they read the other octets again for each pass over them.
// @use lanes
// @const HELD
override WHOLE: bool;   // no code remains of the loops over other octets

// Between what lanes have read and one of them overwrites: other barriers order workgroup memory alone,
// and registers nothing. Lanes of one subgroup that hold the WHOLE block need none: they read before they
// exchange what they have computed from it, and write afterwards.
fn lanes_have_read() {
  if (LANES > NEAR || (LANES > 1u && !WHOLE)) { storageBarrier(); }
}
