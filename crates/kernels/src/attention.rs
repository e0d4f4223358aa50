//! Causal attention over KV blocks that lie where they are stored.
//!
//! Per block of 256 keys a query row gets (max, sum, weighted values) of its own; the blocks of a row are merged in
//! order, wherever they were computed. So prefill and decode, any cut and any number of threads give the same bits.
//!
//! ```text
//! for each group of tokens, for each KV head:      an item; rows = tokens x query heads that share the KV head
//!   for each block up to the last position:
//!     read K transposed and V as floats once       (used by all rows)
//!     attend rows; merge into the running result
//!   divide by the sum
//! ```
//!
//! One token's rows use a block only once, so they take it as it is stored (`attend_one`), where the instruction set can.
//!
//! With few rows there are too few such items for the threads: then an item is one block of one KV head, the results
//! of up to [`BLOCKS_AT_ONCE`] blocks are kept apart, and merged in order afterwards.

use crate::arch::plain::{BlockResult, HeadBlock, StoredBlock};
use crate::kernels::Kernels;
use crate::profile::{Operation, Work};
use crate::shared_out::SharedOut;
use crate::{KV_BLOCK, KvView};

/// Tokens whose queries share one reading of a block's keys: reading costs 2 % of the arithmetic by then, and the
/// running results of a group stay in the second-level cache.
const TOKENS_AT_ONCE: usize = 64;

/// Blocks whose results are kept apart before they are merged, when blocks are shared out over threads.
const BLOCKS_AT_ONCE: usize = 32;

/// Rows of one token up to which converting a block costs more than using it: with 7 (of a key head) converting first
/// was as fast, with 4 a third slower.
const FEW_ROWS: usize = 6;

/// Query rows attended together (24 sums, two vectors and a broadcast fill 32 registers).
const PANEL: usize = 12;

/// Heads and scale of an attention layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`. Query head h reads KV head `h * n_kv_heads / n_heads`.
    pub n_kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Factor on the scores, as a rule 1 / sqrt(head_dim).
    pub scale: f32,
}

/// A worker's room for attention.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
    weights: Vec<f32>,
    limits: Vec<u32>,
    block: Results,
    running: Results,
}

/// (max, sum, weighted values) of rows.
#[derive(Default)]
struct Results {
    max: Vec<f32>,
    sum: Vec<f32>,
    values: Vec<f32>,
}

impl Results {
    /// Room for `n` rows, as before the first block.
    fn reset(&mut self, n: usize, stride: usize) {
        self.max.clear();
        self.max.resize(n, f32::NEG_INFINITY);
        self.sum.clear();
        self.sum.resize(n, 0.0);
        self.values.clear();
        self.values.resize(n * stride, 0.0);
    }

    fn rows(&mut self, rows: std::ops::Range<usize>, stride: usize) -> BlockResult<'_> {
        BlockResult {
            max: &mut self.max[rows.clone()],
            sum: &mut self.sum[rows.clone()],
            values: &mut self.values[rows.start * stride..rows.end * stride],
        }
    }
}

/// One call's arguments with what follows from them.
struct Call<'a> {
    kernels: &'a Kernels,
    q: &'a [f32],
    kv: &'a KvView<'a>,
    shape: AttentionShape,
    first_pos: usize,
    n: usize,
    per_kv_head: usize,
    stride: usize,
}

impl Kernels {
    /// Causal attention of `q` (n, n_heads, head_dim), row i at position `first_pos + i`, to the positions up to its own
    /// in `kv`, which already holds the keys and values of these rows. `out` is (n, n_heads, head_dim).
    ///
    /// # Panics
    /// When shapes do not belong together or `kv` holds fewer than `first_pos + n` tokens.
    pub fn attention(
        &self,
        q: &[f32],
        kv: &KvView<'_>,
        shape: AttentionShape,
        first_pos: usize,
        out: &mut [f32],
    ) {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = shape;
        assert!(n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads) && head_dim > 0, "heads: {shape:?}");
        let width = n_heads * head_dim;
        let n = q.len() / width;
        assert!(q.len() == n * width && out.len() == q.len(), "queries of {width} in {} values", q.len());
        assert!(
            first_pos + n <= kv.n_tokens && kv.n_tokens <= kv.blocks.len() * KV_BLOCK,
            "tokens in the KV blocks"
        );
        let size = kv.kv_type.block_bytes(n_kv_heads, head_dim);
        assert!(
            kv.blocks.iter().all(|block| block.k.len() == size && block.v.len() == size),
            "bytes of KV blocks"
        );
        let stride = head_dim.next_multiple_of(16);
        let call =
            Call { kernels: self, q, kv, shape, first_pos, n, per_kv_head: n_heads / n_kv_heads, stride };
        let _timed = self.profiler.time(Operation::Attention, || {
            let n_pairs = n as f64 * (first_pos as f64 + (n as f64 + 1.0) / 2.0);
            let n_keys = (first_pos + n) as f64 / KV_BLOCK as f64;
            Work { bytes: n_keys * 2.0 * size as f64, operations: n_pairs * 4.0 * width as f64 }
        });
        let n_items = n.div_ceil(TOKENS_AT_ONCE) * n_kv_heads;
        if n_items >= 4 * self.pool.n_threads() || n_items.is_multiple_of(self.pool.n_threads()) {
            call.by_groups(out);
        } else {
            call.by_blocks(out);
        }
    }
}

impl Call<'_> {
    /// Items are (group of tokens, KV head), late positions first: they see the most keys.
    fn by_groups(&self, out: &mut [f32]) {
        let n_groups = self.n.div_ceil(TOKENS_AT_ONCE);
        let out = SharedOut::new(out);
        self.kernels.pool.run(n_groups * self.shape.n_kv_heads, &|worker, items| {
            let mut scratch = self.kernels.scratch(worker);
            let scratch = &mut scratch.attention;
            while let Some(item) = items.take(worker) {
                let first = (n_groups - 1 - item / self.shape.n_kv_heads) * TOKENS_AT_ONCE;
                let tokens = first..self.n.min(first + TOKENS_AT_ONCE);
                let head = item % self.shape.n_kv_heads;
                let n_rows = tokens.len() * self.per_kv_head;
                self.gather_queries(tokens.clone(), head, &mut scratch.queries);
                scratch.running.reset(n_rows, self.stride);
                let n_keys = self.first_pos + tokens.end;
                for block in 0..n_keys.div_ceil(KV_BLOCK) {
                    scratch.block.reset(n_rows, self.stride);
                    let mut results = std::mem::take(&mut scratch.block);
                    self.attend_block(
                        tokens.clone(),
                        head,
                        block,
                        scratch,
                        &mut results.rows(0..n_rows, self.stride),
                    );
                    let mut running = scratch.running.rows(0..n_rows, self.stride);
                    // SAFETY: the table proves its target features.
                    unsafe {
                        (self.kernels.dispatch.merge)(
                            &mut running,
                            &results.rows(0..n_rows, self.stride),
                            self.stride,
                        );
                    }
                    scratch.block = results;
                }
                self.write(tokens, head, &scratch.running, 0, &out);
            }
        });
    }

    /// Items are (block, KV head); for few rows of many positions.
    fn by_blocks(&self, out: &mut [f32]) {
        let (n_kv_heads, stride) = (self.shape.n_kv_heads, self.stride);
        for first in (0..self.n).step_by(TOKENS_AT_ONCE) {
            let tokens = first..self.n.min(first + TOKENS_AT_ONCE);
            let n_rows = tokens.len() * self.per_kv_head;
            let n_blocks = (self.first_pos + tokens.end).div_ceil(KV_BLOCK);
            let mut running = Results::default();
            running.reset(n_rows * n_kv_heads, stride);
            let mut apart = Results::default();
            for wave in (0..n_blocks).step_by(BLOCKS_AT_ONCE) {
                let blocks = wave..n_blocks.min(wave + BLOCKS_AT_ONCE);
                apart.reset(blocks.len() * n_kv_heads * n_rows, stride);
                let (max, sum) = (SharedOut::new(&mut apart.max), SharedOut::new(&mut apart.sum));
                let values = SharedOut::new(&mut apart.values);
                self.kernels.pool.run(blocks.len() * n_kv_heads, &|worker, items| {
                    let mut scratch = self.kernels.scratch(worker);
                    let scratch = &mut scratch.attention;
                    while let Some(item) = items.take(worker) {
                        let (block, head) = (wave + item / n_kv_heads, item % n_kv_heads);
                        self.gather_queries(tokens.clone(), head, &mut scratch.queries);
                        // SAFETY: each item writes its own rows and one worker took it.
                        let mut result = unsafe {
                            BlockResult {
                                max: max.part(item * n_rows, n_rows),
                                sum: sum.part(item * n_rows, n_rows),
                                values: values.part(item * n_rows * stride, n_rows * stride),
                            }
                        };
                        self.attend_block(tokens.clone(), head, block, scratch, &mut result);
                    }
                });
                for item in 0..blocks.len() * n_kv_heads {
                    let head = item % n_kv_heads;
                    let block = apart.rows(item * n_rows..(item + 1) * n_rows, stride);
                    let mut running = running.rows(head * n_rows..(head + 1) * n_rows, stride);
                    // SAFETY: the table proves its target features.
                    unsafe { (self.kernels.dispatch.merge)(&mut running, &block, stride) };
                }
            }
            let out = SharedOut::new(out);
            for head in 0..n_kv_heads {
                self.write(tokens.clone(), head, &running, head * n_rows, &out);
            }
        }
    }

    /// The queries of `tokens` that read KV head `head`, scaled. Rows are (tokens, per_kv_head); each panel of 12 of them
    /// is stored (head_dim, rows), so that a kernel reads it in one stream.
    fn gather_queries(&self, tokens: std::ops::Range<usize>, head: usize, queries: &mut Vec<f32>) {
        let AttentionShape { n_heads, head_dim, scale, .. } = self.shape;
        let n_rows = tokens.len() * self.per_kv_head;
        queries.resize(n_rows * head_dim, 0.0);
        for (panel, queries) in queries.chunks_mut(PANEL * head_dim).enumerate() {
            let n_panel = queries.len() / head_dim;
            for row in 0..n_panel {
                let (token, query_head) = self.token_and_head(panel * PANEL + row);
                let first =
                    ((tokens.start + token) * n_heads + head * self.per_kv_head + query_head) * head_dim;
                for (dim, q) in self.q[first..][..head_dim].iter().enumerate() {
                    queries[dim * n_panel + row] = q * scale;
                }
            }
        }
    }

    /// Which token and which of the query heads of a KV head a row is.
    fn token_and_head(&self, row: usize) -> (usize, usize) {
        (row / self.per_kv_head, row % self.per_kv_head)
    }

    /// One block's result for the gathered queries of `tokens`.
    fn attend_block(
        &self,
        tokens: std::ops::Range<usize>,
        head: usize,
        block: usize,
        scratch: &mut AttentionScratch,
        result: &mut BlockResult<'_>,
    ) {
        let (head_dim, stride, dispatch) = (self.shape.head_dim, self.stride, &self.kernels.dispatch);
        let start = block * KV_BLOCK;
        let limit_of = |token: usize| (self.first_pos + token + 1).saturating_sub(start).min(KV_BLOCK);
        let n_keys = limit_of(tokens.end - 1);
        let size = KV_BLOCK * head_dim * self.kv.kv_type.bytes();
        let stored = &self.kv.blocks[block];
        let (k, v) = (&stored.k[head * size..][..size], &stored.v[head * size..][..size]);
        scratch.weights.resize(PANEL * KV_BLOCK, 0.0);
        if tokens.len() == 1 && self.per_kv_head <= FEW_ROWS {
            let kv_type = self.kv.kv_type;
            let block = StoredBlock { kv_type, head_dim, stride, keys: k, values: v, n_keys };
            // SAFETY: the table proves its target features.
            let done =
                unsafe { (dispatch.attend_one)(&block, &scratch.queries, &mut scratch.weights, result) };
            if done {
                return;
            }
        }
        scratch.keys.resize(head_dim * KV_BLOCK, 0.0);
        scratch.values.resize(KV_BLOCK * stride, 0.0);
        // SAFETY: the table proves its target features.
        let finite = unsafe {
            (dispatch.load_keys)(self.kv.kv_type, k, head_dim, n_keys, &mut scratch.keys);
            (dispatch.load_values)(self.kv.kv_type, v, head_dim, n_keys, stride, &mut scratch.values)
        };
        let floats = HeadBlock { head_dim, stride, keys: &scratch.keys, values: &scratch.values, finite };
        scratch.limits.clear();
        for token in tokens {
            scratch.limits.extend(std::iter::repeat_n(limit_of(token) as u32, self.per_kv_head));
        }
        let n_rows = scratch.limits.len();
        for first in (0..n_rows).step_by(PANEL) {
            let rows = first..n_rows.min(first + PANEL);
            let mut result = BlockResult {
                max: &mut result.max[rows.clone()],
                sum: &mut result.sum[rows.clone()],
                values: &mut result.values[rows.start * stride..rows.end * stride],
            };
            let queries = &scratch.queries[rows.start * head_dim..rows.end * head_dim];
            // SAFETY: the table proves its target features.
            unsafe {
                (dispatch.attend)(&floats, queries, &scratch.limits[rows], &mut scratch.weights, &mut result);
            }
        }
    }

    /// Divides by the sums and writes the rows of `tokens` of KV head `head`, which start at `first_row` of `results`.
    fn write(
        &self,
        tokens: std::ops::Range<usize>,
        head: usize,
        results: &Results,
        first_row: usize,
        out: &SharedOut<'_, f32>,
    ) {
        let AttentionShape { n_heads, head_dim, .. } = self.shape;
        for row in 0..tokens.len() * self.per_kv_head {
            let (token, query_head) = self.token_and_head(row);
            let at = ((tokens.start + token) * n_heads + head * self.per_kv_head + query_head) * head_dim;
            // SAFETY: heads of tokens are apart, and each is written by one item.
            let out = unsafe { out.part(at, head_dim) };
            let values = &results.values[(first_row + row) * self.stride..][..head_dim];
            for (out, value) in out.iter_mut().zip(values) {
                *out = value / results.sum[first_row + row];
            }
        }
    }
}
