//! x86-64: one file per instruction set, and how their presence is proved.

pub(crate) mod avx2;
pub(crate) mod avx512;

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// Fetches bytes into the second-level cache.
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        // SAFETY: a prefetch reads nothing, and SSE is part of the target.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(bytes.as_ptr().wrapping_add(at).cast()) };
        at += 64;
    }
}

/// AVX2, FMA and F16C, as `avx2` uses them.
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// The AVX-512 extensions that `avx512` uses; the wide registers must also be enabled by the system, which detection covers.
pub(crate) fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}
