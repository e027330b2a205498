//! What Oniguruma takes from C's library and the crates from the system. Defined here, so that the
//! module imports nothing.
use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Before each block, its size.
const HEADER: usize = 16;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size.saturating_add(HEADER), HEADER).expect("allocation size")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    unsafe {
        let block = alloc(layout(size));
        if block.is_null() {
            return ptr::null_mut();
        }
        block.cast::<usize>().write(size);
        block.add(HEADER).cast()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else {
        return ptr::null_mut();
    };
    unsafe {
        let block = malloc(bytes);
        if !block.is_null() {
            ptr::write_bytes(block.cast::<u8>(), 0, bytes);
        }
        block
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    unsafe {
        let start = block.cast::<u8>().sub(HEADER);
        dealloc(start, layout(start.cast::<usize>().read()));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    unsafe {
        let moved = malloc(size);
        if !block.is_null() && !moved.is_null() {
            let old = block.cast::<u8>().sub(HEADER).cast::<usize>().read();
            ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast(), old.min(size));
            free(block);
        }
        moved
    }
}

/// Formats Oniguruma's diagnostics, of which nothing here depends: the format as it is. C's
/// variable arguments are one pointer in WebAssembly.
#[unsafe(no_mangle)]
unsafe extern "C" fn vsnprintf(
    out: *mut c_char,
    size: usize,
    format: *const c_char,
    _arguments: *const c_void,
) -> c_int {
    unsafe {
        let mut length = 0;
        while *format.add(length) != 0 {
            if length + 1 < size {
                out.add(length).write(*format.add(length));
            }
            length += 1;
        }
        if size > 0 {
            out.add(length.min(size - 1)).write(0);
        }
        length as c_int
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn snprintf(
    out: *mut c_char,
    size: usize,
    format: *const c_char,
    arguments: *const c_void,
) -> c_int {
    unsafe { vsnprintf(out, size, format, arguments) }
}

/// Seeds hash tables, whose order no result depends on: the same module computes the same.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    out: *mut u8,
    length: usize,
) -> Result<(), getrandom::Error> {
    unsafe { ptr::write_bytes(out, 0x5a, length) };
    Ok(())
}
