//! Measures the vector files alone: called by `benches/vectors.py`, which makes the vectors and puts peers beside it.
//!
//! ```text
//! vectors build  FOLDER ROWS.f32 DIM THREADS [lists]      seconds and memory to write, and to make lists
//! vectors search FOLDER ROWS DIM QUERIES.f32 NEAREST.u64  what a search takes, and how many of the 10 nearest it finds
//! ```
//!
//! `.f32` and `.u64` files hold numbers, little-endian, row after row. One JSON object a line. `cpu` is processor time, of all threads: it says
//! what something costs where others use the machine too.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use docent_index::alone::{Allowed, VectorsAlone};

type Failure = Box<dyn std::error::Error>;

const K: usize = 10;
const USAGE: &str =
    "vectors build FOLDER ROWS.f32 DIM THREADS [lists] | search FOLDER ROWS DIM QUERIES.f32 NEAREST.u64";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["build", folder, rows, dim, n_threads, ref lists @ ..] => {
            build(Path::new(folder), rows, dim.parse()?, n_threads.parse()?, !lists.is_empty())
        }
        ["search", folder, n_rows, dim, queries, nearest] => {
            search(Path::new(folder), n_rows.parse()?, dim.parse()?, queries, nearest)
        }
        _ => Err(USAGE.into()),
    }
}

fn build(folder: &Path, rows: &str, dim: usize, n_threads: usize, lists: bool) -> Result<(), Failure> {
    let start = Instant::now();
    let n_rows = {
        let rows = numbers(rows, f32::from_le_bytes)?;
        VectorsAlone::write(folder, dim, rows.chunks_exact(dim))?
    };
    let write_s = start.elapsed().as_secs_f64();
    let (start, cpu) = (Instant::now(), cpu_s());
    if lists {
        VectorsAlone::make_lists(folder, dim, n_rows, n_threads)?;
    }
    let (lists_s, lists_cpu_s) = (start.elapsed().as_secs_f64(), cpu_s() - cpu);
    let mut n_bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        n_bytes += entry?.metadata()?.len();
    }
    let anonymous = memory("RssAnon:");
    println!(
        "{{\"write_s\": {write_s:.2}, \"build_s\": {lists_s:.2}, \"build_cpu_s\": {lists_cpu_s:.2}, \"bytes\": {n_bytes}, \"anonymous_mib\": {anonymous}}}"
    );
    Ok(())
}

fn search(folder: &Path, n_rows: u64, dim: usize, queries: &str, nearest: &str) -> Result<(), Failure> {
    let (queries, nearest) = (numbers(queries, f32::from_le_bytes)?, numbers(nearest, u64::from_le_bytes)?);
    let queries: Vec<&[f32]> = queries.chunks_exact(dim).collect();
    let start = Instant::now();
    let mut vectors = VectorsAlone::open(folder, dim, n_rows)?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let (n_lists, n_probes) = vectors.n_lists().unwrap_or_default();
    println!("{{\"open_ms\": {open_ms:.2}, \"lists\": {n_lists}, \"looked_at\": {n_probes}}}");
    tell("all", &vectors, &queries, None, |query| nearest[query * K..][..K].to_vec());
    let half: Allowed = (0..n_rows).filter(|row| row % 2 == 1).collect();
    let exact = |vectors: &VectorsAlone, only| {
        let found = |query: &&[f32]| -> Vec<u64> {
            vectors.exact(query, only, K).into_iter().map(|(row, _)| row).collect()
        };
        queries.iter().take(50).map(found).collect::<Vec<_>>()
    };
    let right = exact(&vectors, Some(&half));
    tell("half of the rows allowed", &vectors, &queries[..right.len()], Some(&half), |query| {
        right[query].clone()
    });
    for row in (0..n_rows).step_by(10) {
        vectors.delete(row);
    }
    let right = exact(&vectors, None);
    tell("a tenth deleted", &vectors, &queries[..right.len()], None, |query| right[query].clone());
    Ok(())
}

/// Searches with one client and with eight.
fn tell(
    what: &str,
    vectors: &VectorsAlone,
    queries: &[&[f32]],
    only: Option<&Allowed>,
    right: impl Fn(usize) -> Vec<u64>,
) {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut n_right, mut n_wanted) = (0, 0);
    for (number, query) in queries.iter().enumerate() {
        let right = right(number);
        let found = vectors.search(query, only, K, n_threads);
        n_right += found.iter().filter(|(row, _)| right.contains(row)).count();
        n_wanted += right.len();
    }
    let recall = n_right as f64 / n_wanted as f64;
    for n_clients in [1, 8] {
        let (times, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let (start, cpu) = (Instant::now(), cpu_s());
        std::thread::scope(|scope| {
            for _ in 0..n_clients {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let start = Instant::now();
                        std::hint::black_box(vectors.search(query, only, K, n_threads));
                        mine.push(start.elapsed().as_secs_f64() * 1e3);
                    }
                    times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(mine);
                });
            }
        });
        let cpu_ms = (cpu_s() - cpu) * 1e3 / queries.len() as f64;
        let per_s = queries.len() as f64 / start.elapsed().as_secs_f64();
        let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        times.sort_by(f64::total_cmp);
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let (anonymous, mapped) = (memory("RssAnon:"), memory("RssFile:"));
        println!(
            "{{\"state\": \"{what}\", \"clients\": {n_clients}, \"p50_ms\": {p50:.3}, \"p99_ms\": {p99:.3}, \"cpu_ms\": {cpu_ms:.3}, \"per_s\": {per_s:.0}, \
             \"recall@10\": {recall:.4}, \"anonymous_mib\": {anonymous}, \"mapped_mib\": {mapped}}}"
        );
    }
}

fn numbers<const N: usize, T>(path: &str, from: fn([u8; N]) -> T) -> std::io::Result<Vec<T>> {
    Ok(std::fs::read(path)?.as_chunks::<N>().0.iter().map(|bytes| from(*bytes)).collect())
}

/// Processor seconds of this process, to the hundredth; 0 where the system does not say.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A line of `/proc/self/status`, in MiB; 0 where there is none.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
