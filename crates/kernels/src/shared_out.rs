//! A slice written by several threads, each its own part.

use std::marker::PhantomData;

/// A `&mut [T]` whose parts are handed to several threads.
#[derive(Clone, Copy)]
pub(crate) struct SharedOut<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: parts are only handed out by `part`, whose contract forbids overlap.
unsafe impl<T: Send> Send for SharedOut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedOut<'_, T> {}

impl<'a, T> SharedOut<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        SharedOut { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Where item `at` is, for threads that write different fields of it.
    #[inline(always)]
    pub(crate) fn pointer(&self, at: usize) -> *mut T {
        assert!(at < self.len, "item {at} of {}", self.len);
        self.start.wrapping_add(at)
    }

    /// The part `[at, at + len)`.
    ///
    /// # Safety
    /// No other part that is alive at the same time overlaps it.
    #[inline(always)]
    pub(crate) unsafe fn part(&self, at: usize, len: usize) -> &'a mut [T] {
        assert!(at <= self.len && len <= self.len - at, "part {at}+{len} of {}", self.len);
        // SAFETY: inside the slice this was made of, which is borrowed for 'a; the caller keeps parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
