//! What the machine can do at best: int8 dot products and fused multiply-adds of f32 that wait for nothing, and reading
//! memory in order. Everything else is held against these, measured in the same run: a processor shared with others, or two threads on one core, do
//! less than the data sheet says.

use std::time::Instant;

/// Measured limits of all threads together.
pub struct Limits {
    /// Multiplications and additions of int8, 1e9 a second. NaN where there are no such instructions.
    pub int8: f64,
    /// Multiplications and additions of f32, 1e9 a second. NaN where there are no such instructions.
    pub f32: f64,
    /// Bytes read from memory, 1e9 a second.
    pub memory: f64,
}

/// Bytes that reading walks through: far beyond the caches.
const WALK: usize = 512 << 20;

/// Times that each limit is measured.
const RUNS: usize = 15;

impl Limits {
    /// Takes a second or two; the best of [`RUNS`], since whatever else runs for a moment takes a part of each.
    pub fn measure(n_threads: usize) -> Limits {
        let words = vec![1u64; WALK / 8];
        let best = |work: &(dyn Fn(usize) -> f64 + Sync)| {
            (0..RUNS)
                .map(|_| {
                    let start = Instant::now();
                    let amount: f64 = std::thread::scope(|scope| {
                        let threads: Vec<_> =
                            (0..n_threads).map(|thread| scope.spawn(move || work(thread))).collect();
                        threads.into_iter().map(|thread| thread.join().expect("a probe")).sum()
                    });
                    amount / start.elapsed().as_secs_f64() / 1e9
                })
                .fold(0.0, f64::max)
        };
        let part = words.len() / n_threads;
        let read = |thread: usize| {
            let mut sums = [0u64; 64];
            for words in words[thread * part..][..part].as_chunks::<64>().0 {
                sums.iter_mut().zip(words).for_each(|(sum, word)| *sum ^= word);
            }
            std::hint::black_box(sums);
            (8 * part) as f64
        };
        Limits { int8: best(&|_| int8_products()), f32: best(&|_| f32_products()), memory: best(&read) }
    }
}

/// Instructions that a probe repeats, in all.
#[cfg(target_arch = "x86_64")]
const ROUNDS: u64 = 5_000_000;

/// Twelve independent chains of one instruction on 512 bits, as many as its latency and two ports can use.
///
/// # Safety
/// The processor has the instruction.
#[cfg(target_arch = "x86_64")]
macro_rules! twelve_chains {
    ($instruction:literal) => {
        std::arch::asm!(
            "vpxord zmm12, zmm12, zmm12",
            "vpxord zmm13, zmm13, zmm13",
            "2:",
            concat!($instruction, " zmm0, zmm12, zmm13"), concat!($instruction, " zmm1, zmm12, zmm13"),
            concat!($instruction, " zmm2, zmm12, zmm13"), concat!($instruction, " zmm3, zmm12, zmm13"),
            concat!($instruction, " zmm4, zmm12, zmm13"), concat!($instruction, " zmm5, zmm12, zmm13"),
            concat!($instruction, " zmm6, zmm12, zmm13"), concat!($instruction, " zmm7, zmm12, zmm13"),
            concat!($instruction, " zmm8, zmm12, zmm13"), concat!($instruction, " zmm9, zmm12, zmm13"),
            concat!($instruction, " zmm10, zmm12, zmm13"), concat!($instruction, " zmm11, zmm12, zmm13"),
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) ROUNDS => _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
            out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
            out("zmm12") _, out("zmm13") _,
            options(nomem, nostack)
        )
    };
}

/// Gives the operations of a run of `vpdpbusd`.
#[cfg(target_arch = "x86_64")]
fn int8_products() -> f64 {
    if !docent_kernels::Isa::Avx512.is_present() {
        return f64::NAN;
    }
    // SAFETY: the instructions are there; only registers are touched.
    unsafe { twelve_chains!("vpdpbusd") };
    ROUNDS as f64 * 12.0 * 128.0
}

/// Gives the operations of a run of `vfmadd231ps`.
#[cfg(target_arch = "x86_64")]
fn f32_products() -> f64 {
    if !docent_kernels::Isa::Avx512.is_present() {
        return f64::NAN;
    }
    // SAFETY: the instructions are there; only registers are touched.
    unsafe { twelve_chains!("vfmadd231ps") };
    ROUNDS as f64 * 12.0 * 32.0
}

#[cfg(not(target_arch = "x86_64"))]
fn int8_products() -> f64 {
    f64::NAN
}

#[cfg(not(target_arch = "x86_64"))]
fn f32_products() -> f64 {
    f64::NAN
}
