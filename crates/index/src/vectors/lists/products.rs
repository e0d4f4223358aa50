//! Rows against many directions at once: what clustering, sorting rows into lists and exact neighbours are made of.

use docent_kernels::{Activation, Dense, PackedMatrix};

/// Rows multiplied at a time: their products with some thousand directions stay in the second-level cache.
const BLOCK: usize = 32;
/// Rows a thread takes before the caller is asked whether to go on: a few tenths of a second with 4,000 directions.
const SPAN: usize = 4096;

/// Told of so many more rows done; false: give up.
pub(super) type GoOn<'g> = dyn FnMut(usize) -> bool + 'g;

/// Vectors of `dim` numbers, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) dim: usize,
}

impl<'a> Rows<'a> {
    /// A row; nothing for a number that there is not.
    pub(super) fn get(self, row: u32) -> &'a [f32] {
        self.numbers.get(row as usize * self.dim..).and_then(|rest| rest.get(..self.dim)).unwrap_or_default()
    }

    /// About `n` row numbers spread over all, in order; the same for the same seed. One from each stretch of equal length,
    /// because neighbours are passages of the same document.
    pub(super) fn spread(self, n: usize, seed: u64) -> Vec<u32> {
        let n_rows = self.numbers.len() / self.dim.max(1);
        let n = n.min(n_rows);
        let mut random = Random(seed);
        let stretch = |i: usize| i * n_rows / n;
        (0..n).map(|i| (stretch(i) + random.below(stretch(i + 1) - stretch(i))) as u32).collect()
    }
}

/// Directions packed for products.
pub(super) fn pack(directions: &[f32], dim: usize) -> PackedMatrix {
    PackedMatrix::new(directions, &vec![0.0; directions.len() / dim.max(1)], dim)
}

/// `visit(state, row, products)` for each of the rows `which`, where products are those with each of the directions, in order;
/// gives what it returned, in order of `which`. A thread for each of the `states`, so that what the states hold in the end must not
/// depend on which thread saw which row. None if the caller gave up.
pub(super) fn for_each_row<State: Send, Found: Send + Copy + Default>(
    rows: Rows<'_>,
    which: &[u32],
    directions: &PackedMatrix,
    states: &mut [State],
    visit: &(impl Fn(&mut State, u32, &[f32]) -> Found + Sync),
    go_on: &mut GoOn<'_>,
) -> Option<Vec<Found>> {
    let mut found = vec![Found::default(); which.len()];
    let at_once = SPAN * states.len().max(1);
    for (which, found) in which.chunks(at_once).zip(found.chunks_mut(at_once)) {
        let span = which.len().div_ceil(states.len().max(1));
        std::thread::scope(|scope| {
            for ((which, found), state) in
                which.chunks(span).zip(found.chunks_mut(span)).zip(states.iter_mut())
            {
                scope.spawn(move || one_thread(rows, which, directions, state, visit, found));
            }
        });
        if !go_on(which.len()) {
            return None;
        }
    }
    Some(found)
}

fn one_thread<State, Found>(
    rows: Rows<'_>,
    which: &[u32],
    directions: &PackedMatrix,
    state: &mut State,
    visit: &impl Fn(&mut State, u32, &[f32]) -> Found,
    found: &mut [Found],
) {
    let dense = Dense::default();
    let n = directions.n_out();
    let mut vectors = Vec::with_capacity(BLOCK * rows.dim);
    let mut products = vec![0.0; BLOCK * n];
    for (which, found) in which.chunks(BLOCK).zip(found.chunks_mut(BLOCK)) {
        vectors.clear();
        which.iter().for_each(|row| vectors.extend_from_slice(rows.get(*row)));
        let products = &mut products[..which.len() * n];
        dense.linear(&vectors, directions, Activation::None, products);
        for ((row, found), products) in which.iter().zip(found).zip(products.chunks_exact(n)) {
            *found = visit(state, *row, products);
        }
    }
}

/// Place and value of the greatest, the first of equals.
pub(super) fn greatest(products: &[f32]) -> (u32, f32) {
    let (chunks, rest) = products.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane = if *x > *lane { *x } else { *lane });
    }
    let most = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, x| most.max(*x));
    (products.iter().position(|x| *x == most).unwrap_or(0) as u32, most)
}

/// Scaled to length 1; false if there is nothing to scale.
pub(super) fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let fits = length.is_finite() && length > 1e-12;
    if fits {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    fits
}

/// Numbers that look random and are the same every time (SplitMix64; Steele, Lea and Flood 2014, fig. 17).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 for 0.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
