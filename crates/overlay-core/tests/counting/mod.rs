//! An allocator that counts, for tests of what allocates nothing.
#![allow(dead_code, reason = "each of the tests that share it uses a part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, which counts how often it gives memory.
pub(crate) struct Counting;

static GIVEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static UNWATCHED: Cell<bool> = const { Cell::new(false) };
    static GIVEN_HERE: Cell<u64> = const { Cell::new(0) };
}

/// Lets what this thread allocates from now on go uncounted by [`given`].
pub(crate) fn unwatch() {
    UNWATCHED.set(true);
}

/// How often memory was given to all threads that are watched.
pub(crate) fn given() -> u64 {
    GIVEN.load(Ordering::SeqCst)
}

/// How often memory was given to this thread.
pub(crate) fn given_here() -> u64 {
    GIVEN_HERE.get()
}

fn note() {
    // A thread that is about to end has no locals any more.
    let _ = GIVEN_HERE.try_with(|count| count.set(count.get() + 1));
    if !UNWATCHED.try_with(Cell::get).unwrap_or(true) {
        GIVEN.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call is handed on to the system's allocator as it is, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as in `alloc`; all memory is the system's allocator's.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(start, layout) }
    }
}
