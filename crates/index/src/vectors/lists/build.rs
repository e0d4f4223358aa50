//! Making the lists: cluster a sample, put every row into the list of its nearest centre, measure how many lists a search needs.

use std::f32::consts::FRAC_1_SQRT_2;
use std::path::Path;

use docent_kernels::Dense;

use super::cluster::{self, N_PASSES};
use super::file::{self, Content};
use super::products::{GoOn, Rows, for_each_row, greatest, normalise, pack};
use crate::error::Result;
use crate::fault::Faults;
use crate::top::Top;
use crate::types::EmbeddingSpec;
use crate::vectors::codes;
use crate::vectors::file::VectorFiles;
use crate::vectors::scan::Query;

/// Lists are so many times the root of the rows: then a question's products with the centres cost less than those with the rows
/// of the lists it looks at, and more of the rows it looks at are near.
const LISTS_PER_ROOT: f64 = 4.0;
/// Rows of the sample for each list.
const SAMPLE_PER_LIST: usize = 32;
/// A list of so many times the mean is divided.
const OVERFULL: usize = 4;
/// Questions that the number of lists to look at is measured with, and hits of each.
const N_QUESTIONS: usize = 256;
const N_HITS: usize = 10;
/// Of the hits of those questions so many have to be found. More than is promised (.98), because real questions differ: those of one collection of
/// three needed 55 lists for .98 where all needed 41 (see [`questions`]).
const RECALL: f64 = 0.99;
/// Rows near each other.
struct List {
    /// (dim), length 1
    centre: Vec<f32>,
    rows: Vec<u32>,
}

/// Made-up questions and their nearest rows.
struct Questions {
    /// (n, dim), length 1
    vectors: Vec<f32>,
    /// (n, up to [`N_HITS`])
    hits: Vec<Vec<u32>>,
}

/// Makes the lists of the first `n_rows` rows of `serial`, in place of those there are. `tell` hears how much of how much is done, and
/// answers whether to go on. False if it said no, or if there is nothing to make lists of.
pub(in crate::vectors) fn build(
    (folder, spec, serial, n_rows): (&Path, &EmbeddingSpec, u64, u64),
    n_threads: usize,
    faults: &Faults,
    tell: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<bool> {
    let files = VectorFiles::open(folder, spec, serial, n_rows)?;
    let rows = Rows { numbers: files.rows(), dim: spec.dim };
    if !files.has_codes() || n_rows == 0 || u32::try_from(n_rows).is_err() {
        return Ok(false);
    }
    let n_lists = (((n_rows as f64).sqrt() * LISTS_PER_ROOT) as usize).clamp(1, files.n_rows);
    let sample = rows.spread(n_lists * SAMPLE_PER_LIST, 1);
    let total = (N_PASSES * sample.len() + files.n_rows) as u64;
    let mut done = 0;
    let mut go_on = |n: usize| {
        done += n as u64;
        tell(done, total)
    };
    let Some(centres) = cluster::centres(rows, &sample, n_lists, n_threads, &mut go_on) else {
        return Ok(false);
    };
    let Some((lists, questions)) = fill(rows, &centres, n_threads, &mut go_on) else { return Ok(false) };
    let lists = divide(rows, lists);
    let centres: Vec<u8> = lists.iter().flat_map(|list| codes::row(&list.centre)).collect();
    let n_probes = n_probes(&lists, &centres, &questions, files.n_rows, spec.dim);
    let mut starts = vec![0];
    let mut rows = Vec::with_capacity(files.n_rows);
    for list in &lists {
        rows.extend_from_slice(&list.rows);
        starts.push(rows.len() as u32);
    }
    file::write(folder, spec, serial, &Content { n_probes, starts, rows, centres }, &files, faults)?;
    Ok(true)
}

/// Puts every row into the list of the nearest centre; on the way, finds the rows nearest to questions.
fn fill(
    rows: Rows<'_>,
    centres: &[f32],
    n_threads: usize,
    go_on: &mut GoOn<'_>,
) -> Option<(Vec<List>, Questions)> {
    let all: Vec<u32> = (0..(rows.numbers.len() / rows.dim) as u32).collect();
    let vectors = questions(rows);
    let n_questions = vectors.len() / rows.dim;
    let n_lists = centres.len() / rows.dim;
    let directions = pack(&[centres, &vectors].concat(), rows.dim);
    let tops = || (0..n_questions).map(|_| Top::new(N_HITS)).collect::<Vec<Top>>();
    let mut states: Vec<Vec<Top>> = (0..n_threads.max(1)).map(|_| tops()).collect();
    let visit = |tops: &mut Vec<Top>, row: u32, products: &[f32]| {
        let (with_centres, with_questions) = products.split_at(n_lists);
        for (top, product) in tops.iter_mut().zip(with_questions) {
            if top.threshold().is_none_or(|least| *product >= least) {
                top.push(u64::from(row), *product);
            }
        }
        greatest(with_centres).0
    };
    let nearest = for_each_row(rows, &all, &directions, &mut states, &visit, go_on)?;
    let mut lists = empty_lists(centres, rows.dim);
    for (row, list) in all.into_iter().zip(nearest) {
        lists[list as usize].rows.push(row);
    }
    let mut merged = tops();
    for tops in states {
        for (merged, top) in merged.iter_mut().zip(tops) {
            top.into_sorted().into_iter().for_each(|(row, product)| merged.push(row, product));
        }
    }
    let rows_of = |top: Top| top.into_sorted().into_iter().map(|(row, _)| row as u32).collect();
    Some((lists, Questions { vectors, hits: merged.into_iter().map(rows_of).collect() }))
}

/// Rows, each with the difference of two others added, at the same length as its own when they are at right angles: a direction in which
/// texts do differ. The cosine of both is then 0.7. On all-MiniLM-L6-v2's vectors of 16,000 passages such questions needed 42 of 503 lists for
/// .98 of their hits and 63 for .99, 1,025 real questions 41 and 59; rows as they are, or with noise that favours no direction,
/// 25 to 29 and 36 to 47.
fn questions(rows: Rows<'_>) -> Vec<f32> {
    let mut vectors = Vec::new();
    let (first, second) = (rows.spread(N_QUESTIONS, 4), rows.spread(N_QUESTIONS, 5));
    // The others are from far away: neighbours are passages of one document.
    let others =
        first.iter().cycle().skip(N_QUESTIONS / 3).zip(second.iter().cycle().skip(2 * N_QUESTIONS / 3));
    for (row, (plus, minus)) in rows.spread(N_QUESTIONS, 3).into_iter().zip(others) {
        let differences = rows.get(*plus).iter().zip(rows.get(*minus)).map(|(x, y)| (x - y) * FRAC_1_SQRT_2);
        let mut question: Vec<f32> = rows.get(row).iter().zip(differences).map(|(x, d)| x + d).collect();
        normalise(&mut question);
        vectors.extend(question);
    }
    vectors
}

/// The lists that have rows, overfull ones divided.
fn divide(rows: Rows<'_>, lists: Vec<List>) -> Vec<List> {
    let n_used = lists.iter().filter(|list| !list.rows.is_empty()).count();
    let n_rows: usize = lists.iter().map(|list| list.rows.len()).sum();
    let mean = n_rows.div_ceil(n_used.max(1)).max(1);
    let parts = lists.into_iter().flat_map(|list| {
        if list.rows.len() > OVERFULL * mean { parts(rows, list, mean) } else { vec![list] }
    });
    parts.filter(|part| !part.rows.is_empty()).collect()
}

/// A list in parts of about `mean` rows. One of equal vectors cannot be divided, and is one part of all.
fn parts(rows: Rows<'_>, list: List, mean: usize) -> Vec<List> {
    let n_parts = list.rows.len().div_ceil(mean);
    let step = (list.rows.len() / (n_parts * SAMPLE_PER_LIST)).max(1);
    let sample: Vec<u32> = list.rows.iter().copied().step_by(step).collect();
    let Some(centres) = cluster::centres(rows, &sample, n_parts, 1, &mut |_| true) else { return vec![list] };
    let (directions, nearest) =
        (pack(&centres, rows.dim), |(): &mut (), _, products: &[f32]| greatest(products).0);
    let Some(found) = for_each_row(rows, &list.rows, &directions, &mut [()], &nearest, &mut |_| true) else {
        return vec![list];
    };
    let mut parts = empty_lists(&centres, rows.dim);
    for (row, part) in list.rows.iter().zip(found) {
        parts[part as usize].rows.push(*row);
    }
    parts
}

fn empty_lists(centres: &[f32], dim: usize) -> Vec<List> {
    centres.chunks_exact(dim).map(|centre| List { centre: centre.to_vec(), rows: Vec::new() }).collect()
}

/// The least number of lists, nearest first, in which the questions find [`RECALL`] of their hits.
fn n_probes(lists: &[List], centres: &[u8], questions: &Questions, n_rows: usize, dim: usize) -> usize {
    let mut list_of = vec![0u32; n_rows];
    for (number, list) in lists.iter().enumerate() {
        list.rows.iter().for_each(|row| list_of[*row as usize] = number as u32);
    }
    // n_found[i]: hits that lie in the list that is i-th nearest to their question
    let mut n_found = vec![0usize; lists.len()];
    for (question, hits) in questions.vectors.chunks_exact(dim).zip(&questions.hits) {
        let coded = codes::row(question);
        let (code, scale) = codes::parts(&coded);
        let query = Query { dense: Dense::default(), code, scale };
        let mut nearest: Vec<(f32, usize)> = centres
            .chunks_exact(codes::row_bytes(dim))
            .enumerate()
            .map(|(list, centre)| (query.score(centre), list))
            .collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut place_of = vec![0; lists.len()];
        nearest.iter().enumerate().for_each(|(place, (_, list))| place_of[*list] = place);
        hits.iter().for_each(|row| n_found[place_of[list_of[*row as usize] as usize]] += 1);
    }
    let wanted = (n_found.iter().sum::<usize>() as f64 * RECALL).ceil() as usize;
    let mut sum = 0;
    let enough = n_found.iter().position(|n| {
        sum += n;
        sum >= wanted
    });
    enough.map_or(lists.len(), |place| place + 1).max(1)
}
