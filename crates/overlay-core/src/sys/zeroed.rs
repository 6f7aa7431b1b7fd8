//! Memory for large tables.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::slice;

use zerocopy::FromZeros;

/// Octets of a large page (x86-64, and arm64 with pages of 4 KiB; Documentation/admin-guide/mm/transhuge.rst).
const LARGE_PAGE: usize = 2 << 20;

/// A slice whose elements are made of octets 0.
///
/// From one large page on it begins at the border of one, and the system is asked for large pages: a walk through the
/// page table costs as much as a wait for memory, and a table of many pages has one for nearly every look-up.
#[derive(Debug)]
pub struct ZeroedSlice<T> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: it owns its elements, as a boxed slice does.
unsafe impl<T: Send> Send for ZeroedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for ZeroedSlice<T> {}

impl<T: FromZeros> ZeroedSlice<T> {
    /// One of so many elements; none take no memory.
    ///
    /// # Panics
    /// It is larger than the address space. Where there is no memory, the process ends.
    pub fn new(len: usize) -> Self {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 4096 && !std::mem::needs_drop::<T>()) }
        let layout = layout::<T>(len);
        let start = match layout.size() {
            0 => NonNull::<T>::dangling().as_ptr(),
            // SAFETY: the size is not 0.
            octets if octets < LARGE_PAGE => unsafe { alloc_zeroed(layout) }.cast(),
            octets => map_large(octets).cast(),
        };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, len }
    }
}

fn layout<T>(len: usize) -> Layout {
    Layout::array::<T>(len).expect("a slice that fits the address space")
}

/// Memory from the border of a large page on; null where there is none.
fn map_large(octets: usize) -> *mut u8 {
    let (octets, whole) =
        (octets.next_multiple_of(LARGE_PAGE), octets.next_multiple_of(LARGE_PAGE) + LARGE_PAGE);
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping where the system wants it, which takes nobody's place.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), whole, rights, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    let mapped: *mut u8 = mapped.cast();
    let before = mapped.addr().next_multiple_of(LARGE_PAGE) - mapped.addr();
    // SAFETY: what is cut off before and behind, and what is advised on, are parts of the new mapping that nobody knows yet,
    // at borders of pages; the parts cut off are not used any more, and advice changes no content.
    unsafe {
        let start = mapped.add(before);
        if before > 0 {
            libc::munmap(mapped.cast(), before);
        }
        libc::munmap(start.add(octets).cast(), LARGE_PAGE - before);
        // Refused by a system without large pages, where small ones serve.
        libc::madvise(start.cast(), octets, libc::MADV_HUGEPAGE);
        start
    }
}

impl<T> Deref for ZeroedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` is that of `len` elements, or dangling for none; all octets 0 are a legal element, by the bound of
        // `new`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for ZeroedSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for ZeroedSlice<T> {
    fn drop(&mut self) {
        let (start, layout) = (self.start.as_ptr(), layout::<T>(self.len));
        match layout.size() {
            0 => {}
            // SAFETY: `new` has allocated it with this layout.
            octets if octets < LARGE_PAGE => unsafe { dealloc(start.cast(), layout) },
            octets => {
                // SAFETY: `new` has mapped exactly this, and nobody has a reference into it any more.
                unsafe { libc::munmap(start.cast(), octets.next_multiple_of(LARGE_PAGE)) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_every_size_begin_as_zeros_and_keep_what_is_written() {
        let large = LARGE_PAGE / size_of::<u64>();
        for len in [0, 1, 1000, large - 1, large, large + 1, 3 * large] {
            let mut slice = ZeroedSlice::<u64>::new(len);
            assert_eq!((slice.len(), slice.iter().all(|number| *number == 0)), (len, true));
            slice.iter_mut().zip(1..).for_each(|(place, number)| *place = number);
            assert!(slice.iter().zip(1..).all(|(place, number)| *place == number));
        }
    }

    #[test]
    fn a_large_slice_begins_at_the_border_of_a_large_page() {
        let slices: Vec<_> = (0..4).map(|_| ZeroedSlice::<u64>::new(LARGE_PAGE / 8)).collect();
        assert!(slices.iter().all(|slice| slice.as_ptr().addr().is_multiple_of(LARGE_PAGE)));
    }
}
