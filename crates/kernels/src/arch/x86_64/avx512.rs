//! AVX-512 F, BW, DQ, VL and VNNI.

use crate::arch::{Dispatch, Isa, compiled_plain};

/// The kernels for a processor that [`has_avx512`](super::has_avx512).
pub(crate) fn table() -> Dispatch {
    compiled_plain!(Isa::Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
}
