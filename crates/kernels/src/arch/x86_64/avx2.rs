//! AVX2 with FMA and F16C.

use crate::arch::{Dispatch, Isa, compiled_plain};

/// The kernels for a processor that [`has_avx2`](super::has_avx2).
pub(crate) fn table() -> Dispatch {
    Dispatch { prefetch: super::prefetch, ..compiled_plain!(Isa::Avx2, "avx2,fma,f16c") }
}
