use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::build;
use super::products::normalise;
use crate::docset::DocSet;
use crate::fault::Faults;
use crate::top::Top;
use crate::types::EmbeddingSpec;
use crate::vectors::{Among, VectorFiles, VectorWriter};

const DIM: usize = 48;
const N: u64 = 20_000;
/// Rows of a document.
const PER_DOC: u64 = 4;

fn spec() -> EmbeddingSpec {
    EmbeddingSpec { fingerprint: "test".into(), dim: DIM }
}

/// Numbers between -1 and 1 that look random.
fn numbers(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
    })
}

/// One of 200 topics, and as much of its own: near neighbours exist, and lie in several clusters. The first directions vary most, as those
/// of texts do.
fn vector(seed: u64) -> Vec<f32> {
    let both = numbers(seed % 200).zip(numbers(seed + 1000)).enumerate();
    let mut vector: Vec<f32> =
        both.take(DIM).map(|(i, (topic, own))| (topic + own) / (i as f32 + 1.0).powf(0.36)).collect();
    normalise(&mut vector);
    vector
}

static ROWS: LazyLock<Vec<Vec<f32>>> = LazyLock::new(|| (0..N).map(vector).collect());

fn write(dir: &Path, vectors: impl Iterator<Item = Vec<f32>>) -> u64 {
    let mut writer = VectorWriter::open(dir, &spec(), 1, 0, &Faults::default()).unwrap();
    for vector in vectors {
        let row = writer.next_row();
        writer.push(&vector, row + 1, row / PER_DOC).unwrap();
    }
    writer.sync().unwrap();
    writer.n_rows()
}

fn make(dir: &Path, n_rows: u64, n_threads: usize) -> bool {
    build((dir, &spec(), 1, n_rows), n_threads, &Faults::default(), &mut |_, _| true).unwrap()
}

fn open(dir: &Path, n_rows: u64) -> VectorFiles {
    VectorFiles::open(dir, &spec(), 1, n_rows).unwrap()
}

/// An index of `N` rows, those before `n_listed` in lists.
fn listed(n_listed: u64) -> (tempfile::TempDir, VectorFiles) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ROWS.iter().cloned());
    assert!(make(dir.path(), n_listed, 2));
    let files = open(dir.path(), N);
    assert_eq!(files.lists.as_ref().unwrap().n_rows() as u64, n_listed);
    (dir, files)
}

fn all(dead: &DocSet) -> Among<'_> {
    Among { dead, allowed: None, n_docs: (N / PER_DOC) as usize }
}

/// Passages by looking at every number.
fn exact(query: &[f32], k: usize, passes: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut top = Top::new(k);
    for row in (0..N).filter(|row| passes(*row)) {
        top.push(row + 1, ROWS[row as usize].iter().zip(query).map(|(x, y)| x * y).sum());
    }
    top.into_sorted().into_iter().map(|(chunk, _)| chunk).collect()
}

/// The share of the exact hits that a search finds, over 60 questions; that what it finds may be found is asserted.
fn recall(files: &VectorFiles, among: Among<'_>, passes: impl Fn(u64) -> bool) -> f64 {
    let (mut n_found, mut n_wanted) = (0, 0);
    for seed in 0..60 {
        let query = vector(1_000_000 + seed);
        let found: Vec<u64> =
            files.search(&query, among, 10, 2).into_iter().map(|(chunk, _)| chunk).collect();
        assert!(found.iter().all(|chunk| passes(chunk - 1)), "{found:?}");
        let right = exact(&query, 10, &passes);
        n_wanted += right.len();
        n_found += right.iter().filter(|chunk| found.contains(chunk)).count();
    }
    n_found as f64 / n_wanted as f64
}

#[test]
fn lists_find_nearly_all_of_the_nearest_and_look_at_few() {
    let (_dir, files) = listed(N);
    let lists = files.lists.as_ref().unwrap();
    assert!(lists.effort(10 + 32, 1.0).is_some(), "lists {:?}", lists.n_lists());
    let recall = recall(&files, all(&DocSet::default()), |_| true);
    assert!(recall >= 0.98, "{recall} with {:?}", lists.n_lists());
}

#[test]
fn what_is_dead_or_filtered_is_not_found_and_what_is_left_is() {
    let (_dir, files) = listed(N);
    let dead: DocSet = (0..N).filter(|row| row % 10 == 0).collect();
    let alone = recall(&files, all(&dead), |row| row % 10 != 0);
    assert!(alone >= 0.98, "{alone}");
    let lists = files.lists.as_ref().unwrap();
    // Half of the documents by lists; the documents of two topics, which lie far from most questions; a handful, looked at one by one.
    for (what, every, at) in [("half", 2, 0), ("near each other", 50, 7), ("few", 400, 3)] {
        let filter = |doc: u64| doc % every == at;
        let allowed: Arc<DocSet> = Arc::new((0..N / PER_DOC).filter(|doc| filter(*doc)).collect());
        let share = allowed.len() as f32 / (N / PER_DOC) as f32;
        assert_eq!(lists.effort(42, share).is_some(), what == "half", "{what}");
        let among = Among { allowed: Some(&allowed), ..all(&dead) };
        let recall = recall(&files, among, |row| row % 10 != 0 && filter(row / PER_DOC));
        assert!(recall >= if what == "half" { 0.98 } else { 1.0 }, "{what}: {recall}");
    }
}

#[test]
fn rows_that_came_later_are_found_too() {
    let (_dir, files) = listed(N - 1_500);
    let recall = recall(&files, all(&DocSet::default()), |_| true);
    assert!(recall >= 0.98, "{recall}");
    for row in [N - 1_500, N - 1] {
        let hits = files.search(&vector(row), all(&DocSet::default()), 1, 1);
        assert_eq!(hits[0].0, row + 1);
    }
}

#[test]
fn lists_of_more_rows_than_count_are_not_used() {
    let (dir, _) = listed(N);
    assert!(open(dir.path(), N - 1).lists.is_none());
}

#[test]
fn the_lists_are_the_same_with_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ROWS.iter().cloned());
    let made = |n_threads| {
        make(dir.path(), N, n_threads);
        std::fs::read(dir.path().join("1.lists")).unwrap()
    };
    let one = made(1);
    assert!(made(2) == one && made(5) == one);
}

#[test]
fn thousands_of_equal_rows_and_fewer_rows_than_lists_are_searched_like_others() {
    let few: Vec<u64> = (0..7).collect();
    let copies: Vec<u64> = (0..N).map(|row| if row % 2 == 0 { 1 } else { row }).collect();
    for seeds in [few, copies, vec![3; 5_000], vec![1]] {
        let dir = tempfile::tempdir().unwrap();
        let n = write(dir.path(), seeds.iter().map(|seed| vector(*seed)));
        assert!(make(dir.path(), n, 2));
        let files = open(dir.path(), n);
        assert!(files.lists.is_some());
        assert!(files.wrong_copies().is_empty());
        for seed in seeds.iter().step_by(seeds.len().div_ceil(100)) {
            let hits = files.search(&vector(*seed), all(&DocSet::default()), 10, 1);
            assert_eq!(hits.len(), seeds.len().min(10));
            assert!(hits[0].1 > 0.9999, "{seed} among {} finds {:?}", seeds.len(), hits[0]);
        }
    }
}

#[test]
fn a_damaged_file_costs_no_search_and_gives_no_false_product() {
    let dir = tempfile::tempdir().unwrap();
    let n = write(dir.path(), (0..600).map(vector));
    assert!(make(dir.path(), n, 1));
    let path = dir.path().join("1.lists");
    let whole = std::fs::read(&path).unwrap();
    let query = vector(1 << 40);
    let products = |files: &VectorFiles| files.search(&query, all(&DocSet::default()), 10, 1);
    let product = |chunk: u64| -> f32 { vector(chunk - 1).iter().zip(&query).map(|(x, y)| x * y).sum() };
    let mut n_ignored = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        for bytes in [&damaged[..], &whole[..at]] {
            std::fs::write(&path, bytes).unwrap();
            let files = open(dir.path(), n);
            n_ignored += usize::from(files.lists.is_none());
            let found = products(&files);
            assert_eq!(found.len(), 10, "byte {at}");
            assert!(found.iter().all(|(chunk, p)| (p - product(*chunk)).abs() < 1e-5), "byte {at}");
            assert!(files.lists.is_none() || !files.wrong_copies().is_empty(), "byte {at} is not noticed");
        }
    }
    assert!(n_ignored > whole.len() / 61, "every cut, and some of the damage, is noticed on opening");
}

#[test]
fn who_is_told_to_stop_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let n = write(dir.path(), (0..2_000).map(vector));
    let mut told = Vec::new();
    let made = build((dir.path(), &spec(), 1, n), 2, &Faults::default(), &mut |done, total| {
        told.push((done, total));
        told.len() < 3
    });
    assert!(!made.unwrap());
    assert_eq!(told.len(), 3);
    assert!(open(dir.path(), n).lists.is_none());
    told.clear();
    let mut tell = |done, total| {
        told.push((done, total));
        true
    };
    assert!(build((dir.path(), &spec(), 1, n), 2, &Faults::default(), &mut tell).unwrap());
    assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total), "{told:?}");
}
