//! [`Kernels`]: the instruction set chosen once, the workers, and the operations that go row by row.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::activation::Activations;
use crate::arch::{ConvInput, Dispatch};
use crate::experts::ExpertBuffers;
use crate::matmul::WorkerScratch;
use crate::pool::Pool;
use crate::profile::{Operation, PassTimer, Profile, Profiler, Work};
use crate::shared_out::SharedOut;
use crate::{Isa, KernelError, Matrix, RopePairing, RopeTable, tile};

/// How operations may round. Part of the key under which KV is kept: other numerics, other bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Numerics {
    /// Weights as the file has them, inputs of quantised weights as int8 in blocks of 32, everything else f32.
    #[default]
    Exact,
}

/// Raised when the same numerics give other bits than in an earlier version.
pub const NUMERICS_VERSION: u32 = 3;

/// What a [`Kernels`] is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that compute, the calling one included; at least 1.
    pub n_threads: usize,
    /// The instruction set; `None` takes the best one present. Every set gives the same bits.
    pub isa: Option<Isa>,
    /// How operations may round.
    pub numerics: Numerics,
    /// Whether to collect where the time goes, for [`Kernels::take_profile`].
    pub profile: bool,
}

impl Default for Settings {
    /// All available cores, best instruction set, exact numerics.
    fn default() -> Self {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        Settings { n_threads, isa: None, numerics: Numerics::Exact, profile: false }
    }
}

/// Values that one item of a row-by-row operation should have: some ten microseconds of work.
const ITEM_VALUES: usize = 32 << 10;

/// The operations of a forward pass on one set of worker threads.
///
/// Every operation keeps this promise: the bits of a row of its result depend on that row's inputs alone, not on the
/// batch the row is in, on how a prefill was cut, on the number of threads, on the instruction set, or on timing.
///
/// Meant for one calling thread at a time; calls from several are safe and wait for each other.
pub struct Kernels {
    pub(crate) pool: Pool,
    pub(crate) dispatch: Dispatch,
    pub(crate) activations: Mutex<Activations>,
    pub(crate) expert_buffers: Mutex<ExpertBuffers>,
    pub(crate) profiler: Profiler,
    settings: Settings,
    scratch: Vec<Mutex<WorkerScratch>>,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernels").field("isa", &self.isa()).field("settings", &self.settings).finish()
    }
}

impl Kernels {
    /// Resolves the instruction set and starts the workers, which sleep while there is nothing to do.
    ///
    /// # Errors
    /// When `settings` asks for no threads or for instructions this processor lacks, or the system refuses a thread.
    pub fn new(settings: Settings) -> Result<Kernels, KernelError> {
        Ok(Kernels {
            dispatch: Dispatch::new(settings.isa)?,
            pool: Pool::new(settings.n_threads)?,
            activations: Mutex::default(),
            expert_buffers: Mutex::default(),
            profiler: Profiler::new(settings.profile),
            scratch: WorkerScratch::for_threads(settings.n_threads),
            settings,
        })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.dispatch.isa
    }

    /// The settings this was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Times a pass of `n_tokens` tokens until the guard goes; `None` where nothing is collected.
    pub fn profile_pass(&self, n_tokens: usize) -> Option<PassTimer<'_>> {
        self.profiler.pass(n_tokens)
    }

    /// Where the time went since the last call; `None` unless [`Settings::profile`] asked for it.
    pub fn take_profile(&self) -> Option<Profile> {
        self.profiler.take()
    }

    /// The memory of a worker that is inside a loop of the pool.
    pub(crate) fn scratch(&self, worker: usize) -> MutexGuard<'_, WorkerScratch> {
        self.scratch[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of a matrix as floats (an embedding lookup): `out` is (rows.len(), n_cols).
    ///
    /// # Panics
    /// When a row does not exist or `out` has another length.
    pub fn dequantise_rows(&self, matrix: Matrix<'_>, rows: &[u32], out: &mut [f32]) {
        assert_eq!(out.len(), rows.len() * matrix.n_cols(), "output of {} rows", rows.len());
        if matrix.n_cols() == 0 {
            return;
        }
        let bytes = (rows.len() * matrix.row_bytes()) as f64;
        let _timed = self.profiler.time(Operation::Embedding, || Work { bytes, operations: 0.0 });
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(matrix.n_cols())) {
            assert!((row as usize) < matrix.n_rows(), "row {row} of {}", matrix.n_rows());
            tile::dequantise_row(matrix.format(), matrix.row(row as usize), out);
        }
    }

    /// gate = silu(gate) * up, value by value.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn swiglu(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "gate and up");
        let n = gate.len();
        let _timed = self.profiler.time(Operation::Gate, Work::default);
        let gate = SharedOut::new(gate);
        self.by_rows(n, 1, &|start, n| {
            // SAFETY: the table proves its target features; items do not overlap.
            unsafe { (self.dispatch.swiglu)(gate.part(start, n), &up[start..start + n]) };
        });
    }

    /// h += x, value by value.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn add(&self, h: &mut [f32], x: &[f32]) {
        assert_eq!(h.len(), x.len(), "terms of a sum");
        let n = h.len();
        let _timed = self.profiler.time(Operation::Add, Work::default);
        let h = SharedOut::new(h);
        self.by_rows(n, 1, &|start, n| {
            // SAFETY: items do not overlap.
            let h = unsafe { h.part(start, n) };
            h.iter_mut().zip(&x[start..start + n]).for_each(|(h, x)| *h += x);
        });
    }

    /// x = 1 / (1 + e^-x), value by value.
    pub fn sigmoid(&self, x: &mut [f32]) {
        // SAFETY: the table proves its target features.
        unsafe { (self.dispatch.sigmoids)(x) };
    }

    /// RMS norm of rows of `weight.len()`: `out = x / sqrt(mean(x²) + eps) * weight`.
    ///
    /// # Panics
    /// When `x` is not whole rows or `out` has another length.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "input and output of a norm");
        if weight.is_empty() {
            return;
        }
        let _timed = self.profiler.time(Operation::Norm, Work::default);
        let width = weight.len();
        assert!(x.len().is_multiple_of(width), "rows of {width} in {} values", x.len());
        let n = out.len() / width;
        let out = SharedOut::new(out);
        self.by_rows(n, width, &|start, n| {
            let (at, len) = (start * width, n * width);
            // SAFETY: the table proves its target features; items do not overlap.
            unsafe { (self.dispatch.rms_norm)(&x[at..at + len], weight, eps, out.part(at, len)) };
        });
    }

    /// Rotates queries or keys in place: `x` is (n, n_heads, head_dim), row i at position `first_pos + i`.
    ///
    /// # Panics
    /// When `x` is not whole tokens or the table rotates more than a head.
    pub fn rope(
        &self,
        x: &mut [f32],
        n_heads: usize,
        head_dim: usize,
        first_pos: usize,
        table: &RopeTable,
        pairing: RopePairing,
    ) {
        assert!(table.n_rotated() <= head_dim, "{} rotated of a head of {head_dim}", table.n_rotated());
        let width = n_heads * head_dim;
        assert!(x.is_empty() || x.len().is_multiple_of(width), "tokens of {width} in {} values", x.len());
        if x.is_empty() || table.n_rotated() == 0 {
            return;
        }
        let _timed = self.profiler.time(Operation::Rope, Work::default);
        let n = x.len() / width;
        let angles = table.angles(first_pos, n);
        let x = SharedOut::new(x);
        self.by_rows(n, width, &|start, n| {
            for row in start..start + n {
                let (cos, sin) = angles.at(first_pos + row);
                // SAFETY: the table proves its target features; items do not overlap.
                unsafe { (self.dispatch.rope)(x.part(row * width, width), head_dim, cos, sin, pairing) };
            }
        });
    }

    /// The gated short convolution of lfm2, kernel 3. With (B, C, x) = the thirds of a row of `bcx` (n, 3 d):
    /// `g = B * x`, `z[t] = k0 g[t-2] + k1 g[t-1] + k2 g[t]`, `out = C * z` (n, d); `kernel` is (d, 3).
    ///
    /// `state` (2, d) holds g of the two positions before and is left holding the last two, so that any cut of a
    /// sequence gives the same bits. It is zeros before the first token.
    ///
    /// # Panics
    /// When shapes do not belong together.
    pub fn short_conv(&self, bcx: &[f32], kernel: &[f32], state: &mut [f32], out: &mut [f32]) {
        let d = state.len() / 2;
        assert!(
            state.len() == 2 * d && kernel.len() == 3 * d && bcx.len() == 3 * out.len(),
            "shapes of a convolution"
        );
        if d == 0 || out.is_empty() {
            return;
        }
        assert!(out.len().is_multiple_of(d), "rows of {d} in {} values", out.len());
        let _timed = self.profiler.time(Operation::Convolution, Work::default);
        let (mut before, mut last) = state.split_at_mut(d);
        let mut gated = vec![0.0; d];
        for (bcx, out) in bcx.chunks_exact(3 * d).zip(out.chunks_exact_mut(d)) {
            let input = ConvInput { bcx, kernel, before, last };
            // SAFETY: the table proves its target features.
            unsafe { (self.dispatch.short_conv)(&input, &mut gated, out) };
            before.copy_from_slice(&gated);
            std::mem::swap(&mut before, &mut last);
        }
        // After an odd number of rows the newer one lies first.
        if !(out.len() / d).is_multiple_of(2) {
            before.swap_with_slice(last);
        }
    }

    /// Runs `work(first_row, n_rows)` over `n` rows of `width` values, on several threads when that is worth it.
    pub(crate) fn by_rows(&self, n: usize, width: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        let rows_per_item = (ITEM_VALUES / width.max(1)).max(1);
        self.pool.run(n.div_ceil(rows_per_item), &|worker, items| {
            while let Some(item) = items.take(worker) {
                let start = item * rows_per_item;
                work(start, rows_per_item.min(n - start));
            }
        });
    }
}
