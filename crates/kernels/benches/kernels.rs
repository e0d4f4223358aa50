//! Speed of the kernels: Gop/s (a multiply and an add are two) and GB/s of weights or KV read.
//!
//!     cargo bench -p docent-kernels -- [matmul|experts|attention|decode|rows] [--rows 1,512] [--threads N]
//!         [--isa scalar|avx2|avx512] [--cached]
//!
//! The first lines are the machine's own limits; the percentages behind the others are shares of them.
//!
//! Each figure is the best and the median of many short runs; weights cycle through 256 MiB so that products of one row
//! read memory, as decoding does. On a busy machine only the best of one thread says something.

#[path = "../tests/common/mod.rs"]
mod common;
mod limits;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use common::Random;
use docent_kernels::{
    AttentionShape, BlockFormat, ExpertMatrix, Isa, KV_BLOCK, Kernels, KvBlockRef, KvType, KvView, Matrix,
    Settings, store_keys, store_values,
};
use limits::Limits;

/// What the machine can do, on as many threads as are measured.
static LIMITS: OnceLock<Limits> = OnceLock::new();

/// Input rows of products.
static ROWS: OnceLock<Vec<usize>> = OnceLock::new();

/// Bytes of weights that runs of few rows cycle through, unless `--cached`; beyond the caches of server parts.
const CYCLE: usize = 256 << 20;

/// Whether products read the same weights again and again, few enough for the second-level cache.
static CACHED: AtomicBool = AtomicBool::new(false);

fn main() {
    let mut settings = Settings::default();
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--rows" => {
                let list = arguments.next().expect("--rows N,N");
                ROWS.set(list.split(',').map(|n| n.parse().expect("a number")).collect()).expect("once");
            }
            "--threads" => {
                settings.n_threads = arguments.next().and_then(|n| n.parse().ok()).expect("--threads N")
            }
            "--isa" => {
                settings.isa = Some(match arguments.next().as_deref() {
                    Some("scalar") => Isa::Scalar,
                    Some("avx2") => Isa::Avx2,
                    _ => Isa::Avx512,
                });
            }
            "--cached" => CACHED.store(true, Relaxed),
            _ => wanted.push(argument),
        }
    }
    let kernels = Kernels::new(settings).expect("kernels");
    println!("{:?}, {} threads", kernels.isa(), kernels.settings().n_threads);
    let limits = LIMITS.get_or_init(|| Limits::measure(kernels.settings().n_threads));
    println!(
        "int8 products {:.0} Gop/s, f32 products {:.0}, memory {:.1} GB/s",
        limits.int8, limits.f32, limits.memory
    );
    type Run = fn(&Kernels);
    let all: [(&str, Run); 5] = [
        ("matmul", matmul),
        ("experts", experts),
        ("attention", attention),
        ("decode", decode_attention),
        ("rows", rows),
    ];
    for (name, run) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run(&kernels);
        }
    }
}

/// Best and median seconds of a call: many runs of half a millisecond or one call, so that on a busy machine some of
/// them fit between two interruptions.
fn seconds(mut call: impl FnMut()) -> (f64, f64) {
    call();
    let start = Instant::now();
    call();
    let n_calls = (5e-4 / start.elapsed().as_secs_f64()).ceil().max(1.0) as u32;
    let (begin, mut runs) = (Instant::now(), Vec::new());
    while runs.len() < 5 || (begin.elapsed().as_secs_f64() < 0.7 && runs.len() < 400) {
        let start = Instant::now();
        (0..n_calls).for_each(|_| call());
        runs.push(start.elapsed().as_secs_f64() / f64::from(n_calls));
    }
    runs.sort_by(f64::total_cmp);
    (runs[0], runs[runs.len() / 2])
}

/// What an operation's arithmetic is held against.
#[derive(Clone, Copy)]
enum Bound {
    Int8,
    F32,
}

fn report(what: &str, (best, median): (f64, f64), operations: f64, bytes: f64, bound: Bound) {
    let (speed, read) = (operations / best / 1e9, bytes / best / 1e9);
    let limits = LIMITS.get_or_init(|| Limits::measure(1));
    let (limit, name) = match bound {
        Bound::Int8 => (limits.int8, "int8"),
        Bound::F32 => (limits.f32, "f32"),
    };
    println!(
        "{what:44} best {speed:7.1} Gop/s ({:3.0} % of {name}) {read:6.2} GB/s ({:3.0} %)   median {:7.1} Gop/s {:6.2} GB/s   {:9.1} us",
        100.0 * speed / limit,
        100.0 * read / limits.memory,
        operations / median / 1e9,
        bytes / median / 1e9,
        best * 1e6
    );
}

fn matmul(kernels: &Kernels) {
    let mut random = Random::new(1);
    let formats = [
        (BlockFormat::Q4K, 2048, 2048),
        (BlockFormat::Q6K, 2048, 2048),
        (BlockFormat::Q8_0, 2048, 2048),
        (BlockFormat::Q4_0, 2048, 2048),
        (BlockFormat::Q4_1, 576, 1536),
        (BlockFormat::Q5_0, 896, 4864),
        (BlockFormat::Q5K, 2048, 2048),
        (BlockFormat::F16, 1024, 1024),
        (BlockFormat::F32, 1024, 1024),
    ];
    let cached = CACHED.load(Relaxed);
    for (format, n_rows, n_cols) in formats {
        let n_rows = if cached { n_rows / 8 } else { n_rows };
        let one = random.weights(format, n_rows, n_cols);
        let copies = if cached { 1 } else { CYCLE / one.len() };
        let many = one.repeat(copies);
        for &n in ROWS.get_or_init(|| vec![1, 4, 8, 32, 128, 512]) {
            let x = random.floats(n * n_cols);
            let mut out = vec![0.0; n * n_rows];
            let mut at = 0;
            let time = seconds(|| {
                let bytes = &many[at * one.len()..][..one.len()];
                at = (at + 1) % copies;
                kernels.matmul(Matrix::new(format, n_rows, n_cols, bytes).expect("shape"), &x, &mut out);
            });
            let operations = 2.0 * (n * n_rows * n_cols) as f64;
            let bound = match format {
                BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => Bound::F32,
                _ => Bound::Int8,
            };
            report(
                &format!("{format:?} {n_rows} x {n_cols}, {n} rows"),
                time,
                operations,
                one.len() as f64,
                bound,
            );
        }
    }
}

fn experts(kernels: &Kernels) {
    let (d, d_hidden, n_experts, n_used) = (2048, 1792, 32, 4);
    let mut random = Random::new(2);
    let mut bytes = |format, n_rows, n_cols| random.weights(format, n_experts * n_rows, n_cols);
    let gate = bytes(BlockFormat::Q4K, d_hidden, d);
    let up = bytes(BlockFormat::Q4K, d_hidden, d);
    let down = bytes(BlockFormat::Q6K, d, d_hidden);
    let gate = ExpertMatrix::new(BlockFormat::Q4K, n_experts, d_hidden, d, &gate).expect("shape");
    let up = ExpertMatrix::new(BlockFormat::Q4K, n_experts, d_hidden, d, &up).expect("shape");
    let down = ExpertMatrix::new(BlockFormat::Q6K, n_experts, d, d_hidden, &down).expect("shape");
    for n in [1, 8, 64, 512] {
        let x = random.floats(n * d);
        let mut out = vec![0.0; n * d];
        let weights = vec![0.25; n * n_used];
        let time = seconds(|| {
            let chosen: Vec<u32> = (0..n)
                .flat_map(|_| {
                    let first = random.below(n_experts);
                    (0..n_used).map(move |i| ((first + 7 * i) % n_experts) as u32)
                })
                .collect();
            kernels.expert_ffn(gate, up, down, &x, &chosen, &weights, &mut out);
        });
        let operations = 2.0 * (n * n_used * 3 * d * d_hidden) as f64;
        let bytes = ((n * n_used).min(n_experts) * d * d_hidden) as f64 * (2.0 * 144.0 + 210.0) / 256.0;
        report(&format!("32 experts of 1792, 4 used, {n} rows"), time, operations, bytes, Bound::Int8);
    }
}

/// Attention of `n` queries after `depth` tokens, over as many layers' KV as exceed the caches.
fn attend(
    kernels: &Kernels,
    kv_type: KvType,
    (n_heads, n_kv_heads, head_dim): (usize, usize, usize),
    depth: usize,
    n: usize,
) {
    let mut random = Random::new(3);
    let n_tokens = depth + n;
    let size = kv_type.block_bytes(n_kv_heads, head_dim);
    let layer = size * n_tokens.div_ceil(KV_BLOCK);
    let n_layers = if n <= 16 { (CYCLE / 2 / layer).max(1) } else { 1 };
    let rows = random.floats(KV_BLOCK * n_kv_heads * head_dim);
    // As the model keeps them: K and V of a block behind each other, from a cache line on.
    let n_blocks = n_layers * n_tokens.div_ceil(KV_BLOCK);
    let mut stored = vec![0u8; n_blocks * 2 * size + 64];
    let start = stored.as_ptr().align_offset(64);
    for block in stored[start..].chunks_exact_mut(2 * size) {
        let (k, v) = block.split_at_mut(size);
        store_keys(kv_type, k, n_kv_heads, head_dim, 0, &rows);
        store_values(kv_type, v, n_kv_heads, head_dim, 0, &rows);
    }
    let refs: Vec<KvBlockRef<'_>> = stored[start..]
        .chunks_exact(2 * size)
        .map(|block| block.split_at(size))
        .map(|(k, v)| KvBlockRef { k, v })
        .collect();
    let q = random.floats(n * n_heads * head_dim);
    let mut out = vec![0.0; q.len()];
    let shape = AttentionShape { n_heads, n_kv_heads, head_dim, scale: 0.125 };
    let mut at = 0;
    let time = seconds(|| {
        let blocks = &refs[at * n_tokens.div_ceil(KV_BLOCK)..][..n_tokens.div_ceil(KV_BLOCK)];
        at = (at + 1) % n_layers;
        kernels.attention(&q, &KvView { kv_type, blocks, n_tokens }, shape, depth, &mut out);
    });
    let pairs = n as f64 * (depth as f64 + n as f64 / 2.0);
    let bytes = (n_tokens * 2 * size / KV_BLOCK) as f64;
    let what = format!("attention {n_heads}/{n_kv_heads} x {head_dim} {kv_type:?}, {n} rows after {depth}");
    report(&what, time, 4.0 * pairs * (n_heads * head_dim) as f64, bytes, Bound::F32);
}

fn attention(kernels: &Kernels) {
    for (n, depth) in [(512, 0), (512, 8192), (64, 8192), (16, 8192), (512, 32768)] {
        attend(kernels, KvType::F16, (32, 8, 64), depth, n);
    }
    for (n, depth) in [(512, 0), (512, 1024)] {
        attend(kernels, KvType::F16, (9, 3, 64), depth, n);
    }
    for (n, depth) in [(512, 8192), (64, 8192)] {
        attend(kernels, KvType::Q8_0, (32, 8, 64), depth, n);
    }
}

fn decode_attention(kernels: &Kernels) {
    for depth in [256, 2048, 8192, 32768] {
        attend(kernels, KvType::F16, (32, 8, 64), depth, 1);
        attend(kernels, KvType::Q8_0, (32, 8, 64), depth, 1);
    }
    for depth in [256, 2048] {
        attend(kernels, KvType::F16, (9, 3, 64), depth, 1);
        attend(kernels, KvType::F16, (14, 2, 64), depth, 1);
    }
}

fn rows(kernels: &Kernels) {
    let mut random = Random::new(4);
    for (n, width) in [(1, 2048), (512, 2048)] {
        let x = random.floats(n * width);
        let mut out = vec![0.0; n * width];
        let bytes = (8 * n * width) as f64;
        let weight = random.floats(width);
        let time = seconds(|| kernels.rms_norm(&x, &weight, 1e-5, &mut out));
        report(&format!("rms_norm {n} x {width}"), time, 0.0, bytes, Bound::F32);
        let time = seconds(|| kernels.swiglu(&mut out, &x));
        report(&format!("swiglu {n} x {width}"), time, 0.0, bytes, Bound::F32);
        let (bcx, kernel) = (random.floats(3 * n * width), random.floats(3 * width));
        let mut state = vec![0.0; 2 * width];
        let time = seconds(|| kernels.short_conv(&bcx, &kernel, &mut state, &mut out));
        report(&format!("short_conv {n} x {width}"), time, 0.0, 2.0 * bytes, Bound::F32);
    }
}
