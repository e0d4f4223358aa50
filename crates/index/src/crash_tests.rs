//! What is left after a commit was cut at any of its steps: the old state or the new one, never between.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::fault::Faults;
use crate::writer::Writer;
use crate::{Filter, Index, IndexError, IndexOptions, Problem};

#[path = "../tests/common/commits.rs"]
mod commits;
use commits::{document, first, second, spec};

/// Everything a user can see of an index, without the numbers; and what its check says.
fn content(dir: &Path, read_only: bool) -> (BTreeSet<String>, Vec<Problem>) {
    let index = Index::open(dir, &IndexOptions { read_only }).unwrap();
    let snapshot = index.snapshot().unwrap();
    let mut seen = BTreeSet::new();
    for file in snapshot.files(&Filter::default()).unwrap() {
        seen.insert(format!(
            "{} {:?} {} {:?}",
            file.stat.path.display(),
            file.fate,
            file.n_chunks,
            file.hash
        ));
        seen.insert(snapshot.document(file.id).unwrap().text);
    }
    for (id, _) in snapshot.lexical("common", &Filter::default(), 10_000).unwrap() {
        let chunk = snapshot.chunk(id).unwrap();
        seen.insert(format!("words {} {:?} {}", chunk.path.display(), chunk.span, chunk.text));
    }
    for (id, score) in snapshot.vector(&[0.6, 0.8], &Filter::default(), 10_000).unwrap() {
        let chunk = snapshot.chunk(id).unwrap();
        seen.insert(format!("vector {} {:?} {score}", chunk.path.display(), chunk.span));
    }
    (seen, index.check().unwrap())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// An index after the first commit.
fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path(), &IndexOptions::default()).unwrap();
    first(&mut index.writer(Some(spec())).unwrap()).unwrap();
    dir
}

fn both_states() -> [BTreeSet<String>; 2] {
    let dir = prepared();
    let (old, problems) = content(dir.path(), false);
    assert_eq!(problems, []);
    second(&mut Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap()).unwrap();
    let (new, problems) = content(dir.path(), false);
    assert_eq!(problems, []);
    assert_ne!(old, new);
    [old, new]
}

#[test]
fn a_process_killed_at_any_step_leaves_the_old_state_or_the_new_one() {
    let [old, new] = both_states();
    let dir = prepared();
    let copies = tempfile::tempdir().unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let faults = {
        let (home, copies, steps) = (dir.path().to_owned(), copies.path().to_owned(), Arc::clone(&steps));
        Faults::new(move |step| {
            let mut steps = steps.lock().unwrap();
            copy(&home, &copies.join(steps.len().to_string()));
            steps.push(step.to_owned());
            Ok(())
        })
    };
    second(&mut Writer::open(dir.path(), Some(spec()), faults).unwrap()).unwrap();
    let steps = steps.lock().unwrap().clone();
    for step in
        ["open a vector file", "write", "sync a vector file", "publish the postings", "commit the catalog"]
    {
        assert!(steps.iter().any(|s| s == step), "{step} in {steps:?}");
    }
    let commit = steps.iter().position(|step| step == "commit the catalog").unwrap();
    for (i, step) in steps.iter().enumerate() {
        let cut = copies.path().join(i.to_string());
        let expected = if i <= commit { &old } else { &new };
        // A reader that changes nothing, then a writer that sweeps and does the work again.
        let (seen, problems) = content(&cut, true);
        assert!(&seen == expected && problems.is_empty(), "cut before step {i}, {step}: {problems:?}");
        if i <= commit {
            second(&mut Writer::open(&cut, Some(spec()), Faults::default()).unwrap()).unwrap();
        }
        let (seen, problems) = content(&cut, false);
        assert!(
            seen == new && problems.is_empty(),
            "done again after a cut before step {i}, {step}: {problems:?}"
        );
    }
}

#[test]
fn a_step_that_fails_leaves_the_old_state_and_the_work_can_be_done_again() {
    let [old, new] = both_states();
    let prepared = prepared();
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared.path(), dir.path());
        let count = Arc::new(AtomicUsize::new(0));
        let faults = {
            let count = Arc::clone(&count);
            Faults::new(move |step| {
                if count.fetch_add(1, Ordering::SeqCst) == n && step != "sweep" {
                    return Err(io::Error::new(io::ErrorKind::StorageFull, "injected"));
                }
                Ok(())
            })
        };
        let mut writer = Writer::open(dir.path(), Some(spec()), faults).unwrap();
        let result = second(&mut writer);
        if result.is_ok() {
            assert!(n >= count.load(Ordering::SeqCst) - 1, "the failure of step {n} was not noticed");
            assert_eq!(content(dir.path(), true).0, new);
            break;
        }
        assert!(matches!(writer.commit(), Err(IndexError::RolledBack { .. })), "step {n}");
        let (seen, problems) = content(dir.path(), true);
        assert!(seen == old && problems.is_empty(), "step {n}: {problems:?}");
        // The same writer after undoing, for even n; a new one for odd n.
        if n % 2 == 0 {
            writer.rollback().unwrap();
            second(&mut writer).unwrap();
            drop(writer);
        } else {
            drop(writer);
            second(&mut Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap()).unwrap();
        }
        let (seen, problems) = content(dir.path(), false);
        assert!(seen == new && problems.is_empty(), "done again after step {n}: {problems:?}");
    }
}

#[test]
fn a_disk_that_runs_full_under_the_catalog_leaves_the_old_state() {
    let [old, new] = both_states();
    let dir = prepared();
    let mut writer = Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap();
    writer.limit_catalog_pages(0);
    let mut large = document("/d/incompressible", 1, "x");
    let mut state = 1u64;
    large.text = (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 33) as u8 % 26)
        })
        .collect();
    let error = writer.put_document(large).unwrap_err();
    assert!(matches!(error, IndexError::DiskFull { .. }), "{error}");
    assert!(writer.commit().is_err());
    assert_eq!(content(dir.path(), true), (old, Vec::new()));
    drop(writer);
    second(&mut Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap()).unwrap();
    assert_eq!(content(dir.path(), false), (new, Vec::new()));
}

#[test]
fn a_damaged_store_is_found_and_made_anew() {
    let [old, _] = both_states();
    for folder in ["postings", "vectors"] {
        let dir = prepared();
        for entry in std::fs::read_dir(dir.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle).take(40).for_each(|byte| *byte ^= 0x5a);
            std::fs::write(&path, bytes).unwrap();
        }
        let index = Index::open(dir.path(), &IndexOptions::default()).unwrap();
        assert!(!index.check().unwrap().is_empty(), "{folder}");
        let mut writer = Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap();
        if folder == "postings" {
            writer.rebuild_postings().unwrap();
        } else {
            writer.forget_vectors().unwrap();
            let missing = writer.chunks_without_vectors(crate::ChunkId(0), 10_000).unwrap();
            let vectors: Vec<_> = missing
                .into_iter()
                .map(|id| {
                    let chunk = writer.chunk(id).unwrap();
                    let word = chunk.text.trim().strip_prefix("common ").unwrap().to_owned();
                    let position = chunk.span.start / chunk.text.len();
                    (id, document("/x", position + 1, &word).vectors.pop().unwrap())
                })
                .collect();
            writer.put_vectors(&vectors).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        assert_eq!(content(dir.path(), false), (old.clone(), Vec::new()), "{folder}");
    }
}

/// An index whose writer makes lists of ten rows already, and the hits of a search in it.
fn many_vectors(dir: &Path, faults: Faults) -> crate::Result<bool> {
    let mut writer = Writer::open(dir, Some(spec()), faults)?;
    writer.make_lists_from(10);
    writer.make_lists(&mut |_, _| true)
}

#[test]
fn making_lists_can_be_cut_at_any_step_and_fail_at_any_step() {
    let [old, _] = both_states();
    let prepared = prepared();
    let lists = |dir: &Path| dir.join("vectors").join("1.lists");
    for n in 0.. {
        let (dir, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(prepared.path(), dir.path());
        let count = Arc::new(AtomicUsize::new(0));
        let faults = {
            let (count, home, cut) = (Arc::clone(&count), dir.path().to_owned(), cut.path().to_owned());
            Faults::new(move |step| {
                if count.fetch_add(1, Ordering::SeqCst) == n && step != "sweep" {
                    copy(&home, &cut); // what a process killed here leaves
                    return Err(io::Error::new(io::ErrorKind::StorageFull, "injected"));
                }
                Ok(())
            })
        };
        let result = many_vectors(dir.path(), faults);
        if count.load(Ordering::SeqCst) <= n {
            assert!(result.unwrap() && n >= 5, "{n} steps");
            assert_eq!(content(dir.path(), true), (old, Vec::new()));
            assert!(lists(dir.path()).exists());
            break;
        }
        for left in [dir.path(), cut.path()].into_iter().filter(|dir| Index::exists(dir)) {
            assert_eq!(content(left, true), (old.clone(), Vec::new()), "step {n}");
            many_vectors(left, Faults::default()).unwrap();
            assert!(lists(left).exists(), "step {n}");
            assert!(!lists(left).with_extension("lists.new").exists(), "step {n}");
            assert_eq!(content(left, true), (old.clone(), Vec::new()), "step {n}");
        }
    }
}

#[test]
fn lists_are_made_again_when_a_fifth_more_rows_have_come_and_seen_by_readers_at_once() {
    let dir = prepared();
    let reader = Index::open(dir.path(), &IndexOptions { read_only: true }).unwrap();
    let mut generation = reader.snapshot().unwrap().generation();
    let mut writer = Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap();
    assert!(!writer.make_lists(&mut |_, _| true).unwrap(), "few rows need none");
    writer.make_lists_from(10);
    for (n_new, expected) in [(0, true), (0, false), (40, false), (40, true), (1, false)] {
        if n_new > 0 {
            writer.put_document(document(&format!("/d/more{generation}"), n_new, "more")).unwrap();
            writer.commit().unwrap();
            generation += 1;
        }
        assert_eq!(writer.make_lists(&mut |_, _| true).unwrap(), expected, "{n_new} more");
        generation += u64::from(expected);
        assert_eq!(reader.snapshot().unwrap().generation(), generation);
    }
    assert_eq!(reader.check().unwrap(), []);
}

#[test]
fn damaged_codes_and_lists_are_found_and_made_anew_without_embedding() {
    let [old, _] = both_states();
    for name in ["1.i8", "1.lists"] {
        let dir = prepared();
        many_vectors(dir.path(), Faults::default()).unwrap();
        let path = dir.path().join("vectors").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 7;
        bytes[end] ^= 0x55;
        std::fs::write(&path, bytes).unwrap();
        let index = Index::open(dir.path(), &IndexOptions::default()).unwrap();
        let problems = index.check().unwrap();
        assert!(problems.iter().all(|p| p.store == crate::Store::VectorCopies) && problems.len() == 1);
        let mut writer = Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap();
        let repaired = writer.repair(&problems).unwrap();
        assert!(repaired.vector_copies && !repaired.vectors && repaired.n_removed == 0);
        writer.commit().unwrap();
        drop(writer);
        assert_eq!(content(dir.path(), true), (old.clone(), Vec::new()), "{name}");
        assert!(dir.path().join("vectors").join("1.i8").exists());
    }
}

#[test]
fn a_catalog_whose_side_files_cannot_be_made_is_still_read() {
    let dir = prepared();
    let path = crate::catalog::path_in(dir.path());
    let connection = crate::catalog::open_immutable(&path).unwrap();
    let state = crate::catalog::state(&connection).unwrap();
    assert_eq!((state.generation, state.vector_rows), (1, 330));
}

#[test]
fn readers_and_a_writer_work_side_by_side() {
    let dir = prepared();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let index = Index::open(dir.path(), &IndexOptions { read_only: true }).unwrap();
            let mut n = 0;
            while n < 3 || !done.load(Ordering::SeqCst) {
                let snapshot = index.snapshot().unwrap();
                let hits = snapshot.lexical("common", &Filter::default(), 10_000).unwrap();
                let vectors = snapshot.vector(&[1.0, 0.0], &Filter::default(), 10_000).unwrap();
                let expected: usize =
                    snapshot.files(&Filter::default()).unwrap().iter().map(|file| file.n_chunks).sum();
                assert_eq!((hits.len(), vectors.len()), (expected, expected));
                for (id, _) in hits.into_iter().step_by(20) {
                    snapshot.chunk(id).unwrap();
                }
                n += 1;
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        let mut writer = Writer::open(dir.path(), Some(spec()), Faults::default()).unwrap();
        for i in 0..12 {
            writer.put_document(document(&format!("/d/{}", i % 4), 50 + i, &format!("word{i}"))).unwrap();
            writer.commit().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(content(dir.path(), true).1, []);
}
