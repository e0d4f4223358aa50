//! Floats that start where a cache line does.

use std::ops::{Deref, DerefMut};

const LINE: usize = 16;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A slice of floats on the heap, aligned to cache lines. Products write pieces of 32 columns far apart: where rows start
/// on lines every piece is two whole ones, elsewhere it is three and two of them are written twice, which costs a tenth
/// of a product's time.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Buffer {
        Buffer { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }

    /// Makes it `len` floats long, whose values are what was left there or zero.
    pub fn resize(&mut self, len: usize) {
        if self.lines.len() < len.div_ceil(LINE) {
            *self = Buffer::zeroed(len);
        }
        self.len = len;
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is `repr(C)` around 16 floats with no room between, and there are at least `len` of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_on_a_line_and_has_the_length_asked_for() {
        for len in [0, 1, 15, 16, 17, 4096] {
            let mut buffer = Buffer::zeroed(len);
            assert!(buffer.as_ptr().addr().is_multiple_of(64) || len == 0);
            assert_eq!(*buffer, vec![0.0; len]);
            buffer.fill(1.0);
            buffer.resize(len / 2);
            assert_eq!(buffer.len(), len / 2);
            buffer.resize(len + 100);
            assert_eq!(buffer.len(), len + 100);
        }
    }
}
