//! The feed-forward of a mixture of experts, shared out over the pool.
//!
//! ```text
//! quantise the rows of x once; copy them into the order of their experts   (a row has several)
//! item (expert, strip):  g, u = 32 columns of gate and up for the expert's rows
//!                        h = silu(g) * u, which is one block of the quantised input of down: rounded on the spot
//! item (expert, strip):  32 columns of down
//! add up each token's rows, weighted, slots in order
//! ```
//! Every (token, slot) has a row of its own until the end, so nothing depends on who comes first.

use std::sync::PoisonError;

use crate::activation::Activations;
use crate::buffer::Buffer;
use crate::format::{ExpertMatrix, Matrix};
use crate::kernels::Kernels;
use crate::matmul::INPUTS_AT_ONCE;
use crate::profile::{Operation, Work};
use crate::shared_out::SharedOut;
use crate::strip::{Input, STRIP_ROWS};
use crate::tile::CHUNK_COLS;

/// Room for an expert layer.
#[derive(Default)]
pub(crate) struct ExpertBuffers {
    /// The tokens' rows, quantised.
    tokens: Activations,
    /// The same in group order: a row for every (token, slot).
    grouped: Activations,
    /// silu(gate) * up in group order, quantised.
    hidden: Activations,
    /// The first two as floats, where matrices are floats.
    float_grouped: Vec<f32>,
    float_hidden: Vec<f32>,
    /// down of every (token, slot), in group order.
    products: Buffer,
}

impl Kernels {
    /// The feed-forward of a mixture of experts:
    /// `out[t] = Σ_slot weights[t][slot] * down_e (silu(gate_e x[t]) * up_e x[t])`, e = `chosen[t][slot]`, slots in order.
    ///
    /// `x` and `out` are (n, d), `chosen` and `weights` (n, n_used), `gate` and `up` (n_experts, d_hidden, d),
    /// `down` (n_experts, d, d_hidden). Rows are grouped by expert, so that each expert's weights are unpacked once.
    ///
    /// # Panics
    /// When shapes do not belong together or an expert in `chosen` does not exist.
    #[allow(clippy::too_many_arguments)] // the formula has that many letters
    pub fn expert_ffn(
        &self,
        gate: ExpertMatrix<'_>,
        up: ExpertMatrix<'_>,
        down: ExpertMatrix<'_>,
        x: &[f32],
        chosen: &[u32],
        weights: &[f32],
        out: &mut [f32],
    ) {
        let (d, d_hidden) = (gate.n_cols(), gate.n_rows());
        let n = x.len() / d.max(1);
        assert!(up.n_cols() == d && up.n_rows() == d_hidden, "gate and up of different shape");
        assert!(down.n_cols() == d_hidden && down.n_rows() == d, "down does not turn gate around");
        assert!(
            gate.n_experts() == up.n_experts() && up.n_experts() == down.n_experts(),
            "numbers of experts"
        );
        assert!(
            x.len() == n * d && out.len() == n * d && chosen.len() == weights.len(),
            "rows of an expert layer"
        );
        if n == 0 {
            return;
        }
        let n_used = chosen.len() / n;
        assert_eq!(chosen.len(), n * n_used, "chosen experts of {n} rows");
        let n_slots = chosen.len();
        let mut buffers = self.expert_buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = &mut *buffers;
        let formats = [gate.format(), up.format()];
        self.quantise_for(formats.into_iter(), x, d, &mut buffers.tokens);
        let timed = self.profiler.time(Operation::ExpertRows, Work::default);
        let groups = Groups::new(chosen, gate.n_experts(), self.pool.n_threads());
        // Position p of the grouped buffers is (token, slot) number `groups.order[p]`.
        let tokens: Vec<usize> = groups.order.iter().map(|slot| slot / n_used).collect();
        if formats.iter().any(|format| format.code_kind().is_some()) {
            let with_rests = formats.iter().any(|format| format.multiplies_rests());
            buffers.grouped.reshape(n_slots, d, with_rests);
            let writer = buffers.grouped.writer(with_rests);
            self.by_rows(buffers.tokens.n_chunks(), n_slots * CHUNK_COLS, &|first, n_chunks| {
                for chunk in first..first + n_chunks {
                    // SAFETY: one worker took the chunk, of an `Activations` we hold mutably.
                    unsafe { writer.copy_chunk(&buffers.tokens, chunk, &tokens) };
                }
            });
        }
        if formats.iter().any(|format| format.code_kind().is_none()) {
            buffers.float_grouped.resize(n_slots * d, 0.0);
            for (row, &token) in buffers.float_grouped.chunks_exact_mut(d).zip(&tokens) {
                row.copy_from_slice(&x[token * d..][..d]);
            }
        }
        drop(timed);
        self.gate_and_up(&groups, [gate, up], down, buffers);
        self.down(&groups, down, buffers);

        let _timed = self.profiler.time(Operation::ExpertRows, Work::default);
        let mut place = vec![0; n_slots];
        for (position, &slot) in groups.order.iter().enumerate() {
            place[slot] = position;
        }
        let (out, products) = (SharedOut::new(out), &buffers.products);
        self.by_rows(n, n_used * d, &|first, n_rows| {
            for token in first..first + n_rows {
                // SAFETY: a token's row is written by the one worker that took its item.
                let out = unsafe { out.part(token * d, d) };
                out.fill(0.0);
                for slot in token * n_used..(token + 1) * n_used {
                    for (out, value) in out.iter_mut().zip(&products[place[slot] * d..][..d]) {
                        *out += value * weights[slot];
                    }
                }
            }
        });
    }

    /// silu(gate x) * up x of the grouped rows, as `down` wants it.
    fn gate_and_up(
        &self,
        groups: &Groups,
        [gate, up]: [ExpertMatrix<'_>; 2],
        down: ExpertMatrix<'_>,
        buffers: &mut ExpertBuffers,
    ) {
        let (n_slots, d_hidden) = (groups.order.len(), gate.n_rows());
        let _timed = self
            .profiler
            .time(Operation::ExpertProduct(gate.format()), || groups.work(gate).and(groups.work(up)));
        let quantises = down.format().code_kind().is_some();
        let with_rests = down.format().multiplies_rests();
        if quantises {
            buffers.hidden.reshape(n_slots, d_hidden, with_rests);
        } else {
            buffers.float_hidden.resize(n_slots * d_hidden, 0.0);
        }
        let (hidden, floats) =
            (quantises.then(|| buffers.hidden.writer(with_rests)), SharedOut::new(&mut buffers.float_hidden));
        let (grouped, float_grouped) = (&buffers.grouped, &buffers.float_grouped);
        let n_strips = d_hidden.div_ceil(STRIP_ROWS);
        self.pool.run(groups.groups.len() * n_strips, &|worker, items| {
            let mut scratch = self.scratch(worker);
            let scratch = &mut *scratch;
            while let Some(item) = items.take(worker) {
                let (group, strip) = (&groups.groups[item / n_strips], item % n_strips);
                let rows = strip * STRIP_ROWS..d_hidden.min((strip + 1) * STRIP_ROWS);
                let (gate, up) = (gate.expert(group.expert), up.expert(group.expert));
                for inputs in group.slices() {
                    let of = |matrix: &Matrix<'_>| input_of(matrix, grouped, float_grouped);
                    let (strip_of_gate, strip_of_up) = (&mut scratch.strip, &mut scratch.second_strip);
                    strip_of_gate.multiply(&self.dispatch, &gate, rows.clone(), of(&gate), inputs.clone());
                    strip_of_up.multiply(&self.dispatch, &up, rows.clone(), of(&up), inputs.clone());
                    let values = strip_of_gate.sums_mut();
                    // SAFETY: the table proves its target features; this block of these rows belongs to this item, which
                    // one worker took.
                    unsafe {
                        (self.dispatch.swiglu)(values, strip_of_up.sums_mut());
                        if let Some(hidden) = &hidden {
                            (self.dispatch.quantise_column)(values, inputs.start, strip, hidden);
                            continue;
                        }
                    }
                    for (row, values) in inputs.zip(values.chunks_exact(STRIP_ROWS)) {
                        // SAFETY: as above.
                        let out = unsafe { floats.part(row * d_hidden + rows.start, rows.len()) };
                        out.copy_from_slice(&values[..rows.len()]);
                    }
                }
            }
        });
    }

    /// down of the grouped rows.
    fn down(&self, groups: &Groups, down: ExpertMatrix<'_>, buffers: &mut ExpertBuffers) {
        let d = down.n_rows();
        let _timed = self.profiler.time(Operation::ExpertProduct(down.format()), || groups.work(down));
        buffers.products.resize(groups.order.len() * d);
        let (out, n_strips) = (SharedOut::new(&mut buffers.products), d.div_ceil(STRIP_ROWS));
        let (hidden, float_hidden) = (&buffers.hidden, &buffers.float_hidden);
        self.pool.run(groups.groups.len() * n_strips, &|worker, items| {
            let mut scratch = self.scratch(worker);
            while let Some(item) = items.take(worker) {
                let (group, strip) = (&groups.groups[item / n_strips], item % n_strips);
                let matrix = down.expert(group.expert);
                let rows = strip * STRIP_ROWS..d.min((strip + 1) * STRIP_ROWS);
                for inputs in group.slices() {
                    let input = input_of(&matrix, hidden, float_hidden);
                    let sums =
                        scratch.strip.multiply(&self.dispatch, &matrix, rows.clone(), input, inputs.clone());
                    for (row, sums) in inputs.zip(sums) {
                        // SAFETY: these columns of these rows belong to this item, which one worker took.
                        let out = unsafe { out.part(row * d + rows.start, rows.len()) };
                        out.copy_from_slice(&sums.rows()[..rows.len()]);
                    }
                }
            }
        });
    }
}

/// The rows in the form that `matrix` multiplies.
fn input_of<'a>(matrix: &Matrix<'_>, quantised: &'a Activations, floats: &'a [f32]) -> Input<'a> {
    match matrix.format().code_kind() {
        Some(_) => Input::Quantised(quantised),
        None => Input::Floats(floats),
    }
}

/// (token, slot) numbers sorted by expert.
struct Groups {
    order: Vec<usize>,
    groups: Vec<Group>,
}

/// The rows, in group order, that one expert works on.
struct Group {
    expert: usize,
    rows: std::ops::Range<usize>,
}

impl Group {
    /// The rows in pieces that are multiplied with one unpacking.
    fn slices(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let rows = self.rows.clone();
        rows.clone().step_by(INPUTS_AT_ONCE).map(move |start| start..rows.end.min(start + INPUTS_AT_ONCE))
    }
}

impl Groups {
    /// What the products of the groups with their experts of `matrix` cost.
    fn work(&self, matrix: ExpertMatrix<'_>) -> Work {
        let one = matrix.expert(self.groups[0].expert);
        let operations = 2.0 * (self.order.len() * one.n_rows() * one.n_cols()) as f64;
        Work { bytes: (self.groups.len() * one.bytes().len()) as f64, operations }
    }

    /// Threads take ranges of groups one after the other: each range gets as much to do as the others, its largest groups first, so
    /// that the last items are short ones. A thread that had to help another would take every second strip there, and what
    /// both fetch ahead would be what the other takes.
    fn new(chosen: &[u32], n_experts: usize, n_threads: usize) -> Groups {
        let mut of_expert: Vec<Vec<usize>> = vec![Vec::new(); n_experts];
        for (slot, &expert) in chosen.iter().enumerate() {
            let expert = expert as usize;
            assert!(expert < n_experts, "expert {expert} of {n_experts}");
            of_expert[expert].push(slot);
        }
        let mut experts: Vec<usize> =
            (0..n_experts).filter(|&expert| !of_expert[expert].is_empty()).collect();
        experts.sort_by_key(|&expert| std::cmp::Reverse(of_expert[expert].len()));
        // Dealt to and fro: 0 3 4 7 ... and 1 2 5 6 ... for two threads.
        let experts = (0..n_threads).flat_map(|thread| {
            let (experts, period) = (&experts, 2 * n_threads);
            let dealt = move |&place: &usize| [thread, period - 1 - thread].contains(&(place % period));
            (0..experts.len()).filter(dealt).map(|place| experts[place])
        });
        let mut order = Vec::with_capacity(chosen.len());
        let mut groups = Vec::new();
        for expert in experts {
            let start = order.len();
            order.extend_from_slice(&of_expert[expert]);
            groups.push(Group { expert, rows: start..order.len() });
        }
        Groups { order, groups }
    }
}
