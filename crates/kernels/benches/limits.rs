//! What the machine can do at best: int8 dot products that wait for nothing, and reading memory in order. Everything else
//! is held against these two, measured in the same run: a processor shared with others, or two threads on one core, do
//! less than the data sheet says.

use std::time::Instant;

/// Measured limits of all threads together.
pub struct Limits {
    /// Multiplications and additions of int8, 1e9 a second. NaN where there are no such instructions.
    pub int8: f64,
    /// Bytes read from memory, 1e9 a second.
    pub memory: f64,
}

/// Bytes that reading walks through: far beyond the caches.
const WALK: usize = 512 << 20;

impl Limits {
    /// Takes half a second; the best of three.
    pub fn measure(n_threads: usize) -> Limits {
        let words = vec![1u64; WALK / 8];
        let best = |work: &(dyn Fn(usize) -> f64 + Sync)| {
            (0..3)
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
        Limits { int8: best(&|_| int8_products()), memory: best(&read) }
    }
}

/// Twelve independent chains of `vpdpbusd`, as many as its latency and two ports can use; gives the operations.
#[cfg(target_arch = "x86_64")]
fn int8_products() -> f64 {
    const ROUNDS: u64 = 5_000_000;
    if !docent_kernels::Isa::Avx512.is_present() {
        return f64::NAN;
    }
    // SAFETY: the instructions are there; only registers are touched.
    unsafe {
        std::arch::asm!(
            "2:",
            "vpdpbusd zmm0, zmm12, zmm13", "vpdpbusd zmm1, zmm12, zmm13", "vpdpbusd zmm2, zmm12, zmm13",
            "vpdpbusd zmm3, zmm12, zmm13", "vpdpbusd zmm4, zmm12, zmm13", "vpdpbusd zmm5, zmm12, zmm13",
            "vpdpbusd zmm6, zmm12, zmm13", "vpdpbusd zmm7, zmm12, zmm13", "vpdpbusd zmm8, zmm12, zmm13",
            "vpdpbusd zmm9, zmm12, zmm13", "vpdpbusd zmm10, zmm12, zmm13", "vpdpbusd zmm11, zmm12, zmm13",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) ROUNDS => _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
            out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
            options(nomem, nostack)
        );
    }
    ROUNDS as f64 * 12.0 * 128.0
}

#[cfg(not(target_arch = "x86_64"))]
fn int8_products() -> f64 {
    f64::NAN
}
