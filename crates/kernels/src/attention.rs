//! Causal attention over KV blocks that lie where they are stored.
//!
//! Per block of 256 keys a query row gets (max, sum, weighted values) of its own; the blocks of a row are merged in
//! order, wherever they were computed. So prefill and decode, any cut and any number of threads give the same bits.
//! Weights are powers of two: log2(e) is part of the factor on the queries.
//!
//! ```text
//! for each group of tokens, for each KV head:      an item; rows = tokens x query heads that share the KV head
//!   for each block up to the last position:
//!     make floats of K and V once                  (used by all rows)
//!     for each panel of 12 rows:                   attend, merge into the running result
//!   divide by the sum
//! ```
//!
//! One panel uses a block only once, so it takes it as it is stored (`attend_one`), where the instruction set can.
//!
//! With few rows there are too few such items for the threads: then an item is one block of one KV head, the results
//! of some blocks are kept apart, and merged in order afterwards.

use std::ops::Range;

use crate::arch::plain::{BlockResult, BlockRows, HeadBlock, StoredBlock};
use crate::kernels::Kernels;
use crate::profile::{Operation, Work};
use crate::shared_out::SharedOut;
use crate::{KV_BLOCK, KvView};

/// Tokens whose queries share one reading of a block: as many as leave every thread several items. Beyond 128
/// the running results of a group would crowd the second-level cache; below 32 reading a block is felt.
const TOKENS_AT_ONCE: [usize; 3] = [128, 64, 32];

/// Items that each thread should have, so that a thread that is held up does not hold up the others for long.
const ITEMS_PER_THREAD: usize = 6;

/// Tokens at once, when blocks are shared out over threads.
const TOKENS_BY_BLOCKS: usize = 32;

/// Bytes of blocks' results that are kept apart before they are merged.
const BYTES_APART: usize = 2 << 20;

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

/// Floats that start on a cache line: what is read a register at a time would straddle two otherwise.
#[derive(Default)]
struct Lines {
    floats: Vec<f32>,
}

impl Lines {
    /// Room for `n` floats, with what was there before.
    fn room(&mut self, n: usize) -> &mut [f32] {
        if self.floats.len() < n + 16 {
            self.floats.resize(n + 16, 0.0);
        }
        let start = self.floats.as_ptr().align_offset(64).min(16);
        &mut self.floats[start..start + n]
    }
}

/// A worker's room for attention.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    queries: Lines,
    block: BlockScratch,
    running: Results,
}

/// Room for one block.
#[derive(Default)]
struct BlockScratch {
    keys: Lines,
    values: Lines,
    weights: Lines,
    limits: Vec<u32>,
    panel: Results,
}

/// (max, sum, weighted values) of rows.
#[derive(Default)]
struct Results {
    max: Vec<f32>,
    sum: Vec<f32>,
    values: Lines,
}

impl Results {
    /// Room for `n` rows of anything.
    fn room(&mut self, n: usize, stride: usize) -> BlockResult<'_> {
        self.max.resize(n, 0.0);
        self.sum.resize(n, 0.0);
        BlockResult { max: &mut self.max, sum: &mut self.sum, values: self.values.room(n * stride) }
    }

    /// Room for `n` rows, as before the first block.
    fn start(&mut self, n: usize, stride: usize) -> BlockResult<'_> {
        let room = self.room(n, stride);
        room.max.fill(f32::NEG_INFINITY);
        room.sum.fill(0.0);
        room.values.fill(0.0);
        room
    }
}

/// Some of the rows.
fn rows_of<'a>(results: &'a mut BlockResult<'_>, rows: Range<usize>, stride: usize) -> BlockResult<'a> {
    BlockResult {
        max: &mut results.max[rows.clone()],
        sum: &mut results.sum[rows.clone()],
        values: &mut results.values[rows.start * stride..rows.end * stride],
    }
}

/// The query rows of some tokens for one KV head, and what they look at.
struct Rows<'a> {
    tokens: Range<usize>,
    head: usize,
    /// Scaled, in panels of up to 12 rows: (head_dim, rows).
    queries: &'a [f32],
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
        let n_threads = self.pool.n_threads();
        let n_items = |tokens: usize| n.div_ceil(tokens) * n_kv_heads;
        let enough = |tokens: &usize| n_threads == 1 || n_items(*tokens) >= ITEMS_PER_THREAD * n_threads;
        match TOKENS_AT_ONCE.into_iter().find(enough) {
            Some(tokens) => call.by_groups(tokens, out),
            None => call.by_blocks(out),
        }
    }
}

impl Call<'_> {
    /// Items are (group of tokens, KV head), late positions first: they see the most keys.
    fn by_groups(&self, tokens_at_once: usize, out: &mut [f32]) {
        let n_groups = self.n.div_ceil(tokens_at_once);
        let out = SharedOut::new(out);
        self.kernels.pool.run(n_groups * self.shape.n_kv_heads, &|worker, items| {
            let mut scratch = self.kernels.scratch(worker);
            let AttentionScratch { queries, block: block_scratch, running } = &mut scratch.attention;
            while let Some(item) = items.take(worker) {
                let first = (n_groups - 1 - item / self.shape.n_kv_heads) * tokens_at_once;
                let tokens = first..self.n.min(first + tokens_at_once);
                let head = item % self.shape.n_kv_heads;
                let rows = self.gather(tokens.clone(), head, queries);
                let mut running = running.start(tokens.len() * self.per_kv_head, self.stride);
                for block in 0..(self.first_pos + tokens.end).div_ceil(KV_BLOCK) {
                    let next = (block + 1, head);
                    self.attend_block::<true>(&rows, block, next, block_scratch, &mut running);
                }
                self.write(tokens, head, &running, &out);
            }
        });
    }

    /// Items are (block, KV head); for few rows of many positions.
    fn by_blocks(&self, out: &mut [f32]) {
        let (n_kv_heads, stride) = (self.shape.n_kv_heads, self.stride);
        let (mut running, mut apart) = (Results::default(), Results::default());
        for first in (0..self.n).step_by(TOKENS_BY_BLOCKS) {
            let tokens = first..self.n.min(first + TOKENS_BY_BLOCKS);
            let n_rows = tokens.len() * self.per_kv_head;
            let n_blocks = (self.first_pos + tokens.end).div_ceil(KV_BLOCK);
            let mut running = running.start(n_rows * n_kv_heads, stride);
            let blocks_at_once = (BYTES_APART / (4 * n_kv_heads * n_rows * stride)).max(4);
            for wave in (0..n_blocks).step_by(blocks_at_once) {
                let blocks = wave..n_blocks.min(wave + blocks_at_once);
                let mut apart = apart.room(blocks.len() * n_kv_heads * n_rows, stride);
                self.attend_apart(tokens.clone(), blocks.clone(), &mut apart);
                self.merge_apart(blocks.len(), n_rows, &apart, &mut running);
            }
            let out = SharedOut::new(out);
            for head in 0..n_kv_heads {
                let results = rows_of(&mut running, head * n_rows..(head + 1) * n_rows, stride);
                self.write(tokens.clone(), head, &results, &out);
            }
        }
    }

    /// The results of `tokens` for each of `blocks` and each KV head: (blocks, n_kv_heads, rows).
    fn attend_apart(&self, tokens: Range<usize>, blocks: Range<usize>, apart: &mut BlockResult<'_>) {
        let (n_kv_heads, stride) = (self.shape.n_kv_heads, self.stride);
        let n_rows = tokens.len() * self.per_kv_head;
        let (max, sum) = (SharedOut::new(apart.max), SharedOut::new(apart.sum));
        let values = SharedOut::new(apart.values);
        self.kernels.pool.run(blocks.len() * n_kv_heads, &|worker, items| {
            let mut scratch = self.kernels.scratch(worker);
            let AttentionScratch { queries, block: block_scratch, .. } = &mut scratch.attention;
            while let Some(item) = items.take(worker) {
                let (block, head) = (blocks.start + item / n_kv_heads, item % n_kv_heads);
                let rows = self.gather(tokens.clone(), head, queries);
                // SAFETY: each item writes its own rows and one worker took it.
                let mut result = unsafe {
                    BlockResult {
                        max: max.part(item * n_rows, n_rows),
                        sum: sum.part(item * n_rows, n_rows),
                        values: values.part(item * n_rows * stride, n_rows * stride),
                    }
                };
                let next = (blocks.start + (item + 1) / n_kv_heads, (item + 1) % n_kv_heads);
                self.attend_block::<false>(&rows, block, next, block_scratch, &mut result);
            }
        });
    }

    /// Merges the results of blocks (n_blocks, n_kv_heads, rows) in order with `running` (n_kv_heads, rows).
    fn merge_apart(
        &self,
        n_blocks: usize,
        n_rows: usize,
        apart: &BlockResult<'_>,
        running: &mut BlockResult<'_>,
    ) {
        let (n_kv_heads, stride) = (self.shape.n_kv_heads, self.stride);
        let (max, sum) = (SharedOut::new(running.max), SharedOut::new(running.sum));
        let values = SharedOut::new(running.values);
        let (all_max, all_sum, all_values) = (&*apart.max, &*apart.sum, &*apart.values);
        self.kernels.pool.run(n_kv_heads, &|worker, heads| {
            while let Some(head) = heads.take(worker) {
                // SAFETY: each head has its own rows and one worker took it.
                let mut running = unsafe {
                    BlockResult {
                        max: max.part(head * n_rows, n_rows),
                        sum: sum.part(head * n_rows, n_rows),
                        values: values.part(head * n_rows * stride, n_rows * stride),
                    }
                };
                for block in 0..n_blocks {
                    let first = (block * n_kv_heads + head) * n_rows;
                    let block = BlockRows {
                        max: &all_max[first..][..n_rows],
                        sum: &all_sum[first..][..n_rows],
                        values: &all_values[first * stride..][..n_rows * stride],
                    };
                    // SAFETY: the table proves its target features.
                    unsafe { (self.kernels.dispatch.merge)(&mut running, &block, stride) };
                }
            }
        });
    }

    /// The queries of `tokens` that read KV head `head`, scaled for powers of two. Rows are (tokens, per_kv_head); each
    /// panel of 12 of them is stored (head_dim, rows), so that a kernel reads it in one stream.
    fn gather<'a>(&self, tokens: Range<usize>, head: usize, room: &'a mut Lines) -> Rows<'a> {
        let AttentionShape { n_heads, head_dim, scale, .. } = self.shape;
        let scale = scale * std::f32::consts::LOG2_E;
        let room = room.room(tokens.len() * self.per_kv_head * head_dim);
        for (panel, queries) in room.chunks_mut(PANEL * head_dim).enumerate() {
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
        Rows { tokens, head, queries: room }
    }

    /// Which token and which of the query heads of a KV head a row is.
    fn token_and_head(&self, row: usize) -> (usize, usize) {
        (row / self.per_kv_head, row % self.per_kv_head)
    }

    /// The bytes of the K and the V of a KV head in a block; nothing where there is no such block.
    fn stored(&self, block: usize, head: usize) -> [&[u8]; 2] {
        let size = self.kv.kv_type.block_bytes(1, self.shape.head_dim);
        let Some(stored) = self.kv.blocks.get(block) else { return [&[], &[]] };
        [&stored.k[head * size..][..size], &stored.v[head * size..][..size]]
    }

    /// One block's result for `rows`: put into `result`, or merged with it. Meanwhile the block and head that is likely to be
    /// `next` is fetched from memory.
    fn attend_block<const MERGE: bool>(
        &self,
        rows: &Rows<'_>,
        block: usize,
        next: (usize, usize),
        scratch: &mut BlockScratch,
        result: &mut BlockResult<'_>,
    ) {
        let (head_dim, stride, dispatch) = (self.shape.head_dim, self.stride, &self.kernels.dispatch);
        let BlockScratch { keys, values, weights, limits, panel } = scratch;
        let weights = weights.room(PANEL * KV_BLOCK);
        let start = block * KV_BLOCK;
        let limit_of = |token: usize| (self.first_pos + token + 1).saturating_sub(start).min(KV_BLOCK) as u32;
        limits.clear();
        for token in rows.tokens.clone() {
            limits.extend(std::iter::repeat_n(limit_of(token), self.per_kv_head));
        }
        let n_keys = limits.last().map_or(0, |&limit| limit as usize);
        let (kv_type, n_rows) = (self.kv.kv_type, limits.len());
        let [k, v] = self.stored(block, rows.head);
        let stored = StoredBlock { kv_type, head_dim, stride, keys: k, values: v, n_keys };
        // What a panel's attention gives goes to its rows of `result`, or is merged with them.
        let mut put = |rows: Range<usize>, attend: &mut dyn FnMut(&mut BlockResult<'_>) -> bool| {
            let mut result = rows_of(result, rows.clone(), stride);
            if !MERGE {
                return attend(&mut result);
            }
            let mut fresh = panel.room(rows.len(), stride);
            let done = attend(&mut fresh);
            if done {
                // SAFETY: the table proves its target features.
                unsafe { (dispatch.merge)(&mut result, &fresh.rows(), stride) };
            }
            done
        };
        let one_panel = n_rows <= PANEL && limits[0] as usize == n_keys;
        let mut as_stored = |result: &mut BlockResult<'_>| {
            // SAFETY: the table proves its target features.
            unsafe { (dispatch.attend_one)(&stored, rows.queries, weights, result) }
        };
        if one_panel && put(0..n_rows, &mut as_stored) {
            return;
        }
        let floats = self.load(&stored, keys, values);
        let next = self.stored(next.0, next.1);
        for first in (0..n_rows).step_by(PANEL) {
            let panel = first..n_rows.min(first + PANEL);
            let queries = &rows.queries[panel.start * head_dim..panel.end * head_dim];
            let share = |bytes: usize| bytes * panel.start / n_rows..bytes * panel.end / n_rows;
            let floats = HeadBlock { next: next.map(|bytes| &bytes[share(bytes.len())]), ..floats };
            put(panel.clone(), &mut |result| {
                // SAFETY: the table proves its target features.
                unsafe { (dispatch.attend)(&floats, queries, &limits[panel.clone()], weights, result) };
                true
            });
        }
    }

    /// Makes floats of a block.
    fn load<'a>(
        &self,
        stored: &StoredBlock<'_>,
        keys: &'a mut Lines,
        values: &'a mut Lines,
    ) -> HeadBlock<'a> {
        let StoredBlock { kv_type, head_dim, stride, n_keys, .. } = *stored;
        let (keys, values) = (keys.room(head_dim * KV_BLOCK), values.room(KV_BLOCK * stride));
        let dispatch = &self.kernels.dispatch;
        // SAFETY: the table proves its target features.
        let finite = unsafe {
            (dispatch.load_keys)(kv_type, stored.keys, head_dim, n_keys, keys);
            (dispatch.load_values)(kv_type, stored.values, head_dim, n_keys, stride, values)
        };
        HeadBlock { head_dim, stride, keys, values, finite, next: [&[], &[]] }
    }

    /// Divides by the sums and writes the rows of `tokens` of KV head `head`.
    fn write(&self, tokens: Range<usize>, head: usize, results: &BlockResult<'_>, out: &SharedOut<'_, f32>) {
        let AttentionShape { n_heads, head_dim, .. } = self.shape;
        for row in 0..tokens.len() * self.per_kv_head {
            let (token, query_head) = self.token_and_head(row);
            let at = ((tokens.start + token) * n_heads + head * self.per_kv_head + query_head) * head_dim;
            // SAFETY: heads of tokens are apart, and each is written by one item.
            let out = unsafe { out.part(at, head_dim) };
            for (out, value) in out.iter_mut().zip(&results.values[row * self.stride..][..head_dim]) {
                *out = value / results.sum[row];
            }
        }
    }
}
