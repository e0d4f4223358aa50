//! Thirty-two rows of a matrix times all input rows: the unit of work that threads take.
//!
//! For each chunk of columns the rows are unpacked once into scratch that stays in the first-level cache, then used by
//! every input row. One input row, or a few, are multiplied without such tiles where the instruction set has a way.

use std::ops::Range;

use crate::activation::Activations;
use crate::arch::Dispatch;
use crate::format::Matrix;
use crate::tile::{CHUNK_COLS, FLOAT_CHUNK_COLS, FloatTile, TILE_ROWS, Tile, TileSource};

/// Rows of a strip: two tiles, so that each value of an input row read from cache is used twice.
pub(crate) const STRIP_ROWS: usize = 2 * TILE_ROWS;

/// Bytes of the next strip that can be fetched from memory while one input row is multiplied with a chunk of a strip, which takes
/// some 50 ns: fewer than a core can read in that time, so that the products never wait for the buffers of misses.
const FETCHED_PER_INPUT: usize = 6 * 64;

/// Sums of one input row with the rows of a strip.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct StripSums(pub(crate) [[f32; TILE_ROWS]; 2]);

impl StripSums {
    /// As the rows of the strip, in order.
    pub(crate) fn rows(&self) -> &[f32; STRIP_ROWS] {
        self.0.as_flattened().try_into().expect("2 x 16 is 32")
    }
}

/// Input rows, in the form the matrix's format multiplies.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// For integer formats.
    Quantised(&'a Activations),
    /// For float formats: rows of n_cols floats.
    Floats(&'a [f32]),
}

/// Room for a strip, one per worker.
pub(crate) struct StripScratch {
    tiles: Box<[Tile; 2]>,
    float_tiles: Box<[FloatTile; 2]>,
    sums: Vec<StripSums>,
}

impl StripScratch {
    pub(crate) fn new() -> StripScratch {
        StripScratch {
            tiles: Box::new([Tile::zeroed(), Tile::zeroed()]),
            float_tiles: Box::new([FloatTile::zeroed(), FloatTile::zeroed()]),
            sums: Vec::new(),
        }
    }

    /// The last products, (inputs, 32).
    pub(crate) fn sums_mut(&mut self) -> &mut [f32] {
        as_lanes(&mut self.sums).as_flattened_mut().as_flattened_mut()
    }

    /// The products of the matrix's rows `rows` (up to 32 of them) with the input rows `inputs`.
    pub(crate) fn multiply(
        &mut self,
        dispatch: &Dispatch,
        matrix: &Matrix<'_>,
        rows: Range<usize>,
        input: Input<'_>,
        inputs: Range<usize>,
    ) -> &[StripSums] {
        self.sums.clear();
        self.sums.resize(inputs.len(), StripSums([[0.0; TILE_ROWS]; 2]));
        let (first_row, n_rows) = (rows.start, rows.len());
        assert!(n_rows <= STRIP_ROWS, "a strip of {n_rows} rows");
        let next = next_strip(matrix, &rows);
        match input {
            Input::Quantised(activations) => {
                if self.multiply_without_tiles(dispatch, matrix, rows, activations, inputs.clone()) {
                    return &self.sums;
                }
                let n_tiles = n_rows.div_ceil(TILE_ROWS);
                let mut next = next.chunks(next.len().div_ceil(activations.n_chunks()).max(1));
                for chunk in 0..activations.n_chunks() {
                    let first_col = chunk * CHUNK_COLS;
                    let n_cols = CHUNK_COLS.min(matrix.n_cols() - first_col);
                    let mut next = next.next().unwrap_or_default();
                    for (index, tile) in self.tiles[..n_tiles].iter_mut().enumerate() {
                        let mut source =
                            tile_source(matrix, first_row, n_rows, index, first_col..first_col + n_cols);
                        // What the products have no time to fetch, in equal shares.
                        if next.len() > inputs.len() * FETCHED_PER_INPUT {
                            (source.next, next) = next.split_at(next.len().div_ceil(n_tiles - index));
                        }
                        // SAFETY: the table proves its target features.
                        unsafe { (dispatch.unpack)(&source, tile) };
                    }
                    let kind = matrix.format().code_kind().expect("an integer format");
                    let (tiles, sums) = (&self.tiles[..n_tiles], as_lanes(&mut self.sums));
                    // SAFETY: the table proves its target features.
                    unsafe {
                        (dispatch.multiply)(
                            kind,
                            tiles,
                            &activations.chunk(chunk, inputs.clone()),
                            next,
                            sums,
                        )
                    };
                    if matrix.format().multiplies_rests() {
                        // SAFETY: the table proves its target features.
                        unsafe {
                            (dispatch.multiply)(
                                kind,
                                tiles,
                                &activations.rest(chunk, inputs.clone()),
                                &[],
                                sums,
                            )
                        };
                    }
                }
            }
            Input::Floats(x) => {
                let row_len = matrix.n_cols();
                let x = &x[inputs.start * row_len..inputs.end * row_len];
                let per_chunk = next.len().div_ceil(row_len.div_ceil(FLOAT_CHUNK_COLS)).max(1);
                let mut next = next.chunks(per_chunk);
                for first_col in (0..row_len).step_by(FLOAT_CHUNK_COLS) {
                    (dispatch.prefetch)(next.next().unwrap_or_default());
                    let cols = first_col..row_len.min(first_col + FLOAT_CHUNK_COLS);
                    let n_tiles = n_rows.div_ceil(TILE_ROWS);
                    for (index, tile) in self.float_tiles[..n_tiles].iter_mut().enumerate() {
                        let source = tile_source(matrix, first_row, n_rows, index, cols.clone());
                        // SAFETY: the table proves its target features.
                        unsafe { (dispatch.unpack_floats)(&source, tile) };
                    }
                    let (tiles, sums) = (&self.float_tiles[..n_tiles], as_lanes(&mut self.sums));
                    // SAFETY: the table proves its target features.
                    unsafe { (dispatch.multiply_floats)(tiles, x, row_len, cols, sums) };
                }
            }
        }
        &self.sums
    }

    /// The products of one or a few inputs, 16 rows after the other, without a tile that all inputs would share; or nothing, and
    /// false.
    fn multiply_without_tiles(
        &mut self,
        dispatch: &Dispatch,
        matrix: &Matrix<'_>,
        rows: Range<usize>,
        x: &Activations,
        inputs: Range<usize>,
    ) -> bool {
        if !rows.len().is_multiple_of(TILE_ROWS) {
            return false; // not even for the first 16, whose sums would be added to
        }
        let mut next = next_strip(matrix, &rows);
        for index in 0..rows.len() / TILE_ROWS {
            let mut source = tile_source(matrix, rows.start, rows.len(), index, 0..matrix.n_cols());
            (source.next, next) = next.split_at(next.len().min(TILE_ROWS * matrix.row_bytes()));
            let is_done = if inputs.len() == 1 {
                // SAFETY: the table proves its target features.
                unsafe { (dispatch.multiply_one)(&source, x, inputs.start, &mut self.sums[0].0[index]) }
            } else {
                let (scratch, sums) = (&mut self.tiles[0], as_lanes(&mut self.sums));
                // SAFETY: as above.
                unsafe { (dispatch.multiply_few)(&source, x, inputs.clone(), scratch, sums, index) }
            };
            if !is_done {
                return false;
            }
        }
        true
    }
}

/// The bytes of the strip after the one at `rows`, which the worker takes next as a rule: fetched from memory while
/// this one is unpacked and multiplied, in the order they lie. (Unpacking reads 16 rows side by side, which the
/// processor's own prefetchers do not follow.)
fn next_strip<'a>(matrix: &Matrix<'a>, rows: &Range<usize>) -> &'a [u8] {
    let row = |row: usize| row.min(matrix.n_rows()) * matrix.row_bytes();
    &matrix.bytes()[row(rows.end)..row(rows.end + rows.len())]
}

/// The rows of tile `index` of the strip of `n_rows` rows at `first_row`.
fn tile_source<'a>(
    matrix: &Matrix<'a>,
    first_row: usize,
    n_rows: usize,
    index: usize,
    cols: Range<usize>,
) -> TileSource<'a> {
    let tile_row = first_row + index * TILE_ROWS;
    let n_rows = TILE_ROWS.min(first_row + n_rows - tile_row);
    let row_bytes = matrix.row_bytes();
    TileSource {
        format: matrix.format(),
        rows: &matrix.bytes()[tile_row * row_bytes..][..n_rows * row_bytes],
        row_bytes,
        n_rows,
        first_col: cols.start,
        n_cols: cols.len(),
        next: &[],
    }
}

fn as_lanes(sums: &mut [StripSums]) -> &mut [[[f32; TILE_ROWS]; 2]] {
    // SAFETY: `StripSums` is `repr(C)` around exactly this array, and its alignment (64) divides its size (128).
    unsafe { std::slice::from_raw_parts_mut(sums.as_mut_ptr().cast(), sums.len()) }
}
