// The group of an octet. Nearly all groups are of a power of two elements, and found by a shift: a
// division takes sixteen instructions.
fn group_of(shifts: bool, octet: u32, group_octets: u32) -> u32 {
  if (shifts) { return octet >> firstTrailingBit(group_octets); }
  return octet / group_octets;
}
