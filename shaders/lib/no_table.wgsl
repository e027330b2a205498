// For kernels of formats that need no table. Twin: nf4_table.wgsl.
fn prepare_tables(thread: u32) {}
