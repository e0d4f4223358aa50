//! Indexes of every format that was ever written must keep opening: `indexes/format-N`.

use std::path::{Path, PathBuf};

use docent_index::{Fate, Filter, Index, IndexError, IndexOptions};

#[path = "common/copy.rs"]
mod copy;
use copy::copy;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../indexes")
}

/// A copy of the index of one format; git keeps no modes, so the copy is made writable by its making.
fn of_format(format: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&kept().join(format!("format-{format}")), dir.path());
    dir
}

fn formats() -> Vec<u32> {
    let mut formats: Vec<u32> = std::fs::read_dir(kept())
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("format-")?.parse().ok())
        .collect();
    formats.sort_unstable();
    formats
}

/// What `examples/tiny_index.rs` wrote.
#[track_caller]
fn check_content(index: &Index) {
    assert_eq!(index.check().unwrap(), []);
    let files = index.files().unwrap();
    let names: Vec<_> = files.iter().map(|file| file.stat.path.to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "/elsewhere/boat.md",
            "/library/large.iso",
            "/library/lease.txt",
            "/library/roof.md",
            "/library/torn.pdf"
        ]
    );
    assert!(matches!(&files[1].fate, Fate::Skipped(reason) if reason.contains("64 MB")));
    assert!(matches!(&files[4].fate, Fate::Failed(reason) if reason.contains("no pages")));
    let everything = Filter::default();
    let paths = |hits: Vec<(docent_index::ChunkId, f32)>| -> Vec<String> {
        hits.into_iter().map(|(id, _)| index.chunk(id).unwrap().text).collect()
    };
    assert_eq!(paths(index.lexical("rent", &everything, 10).unwrap()), ["The rent is 840 euros.\n"]);
    assert_eq!(paths(index.vector(&[0.0, 0.0, 1.0, 0.0], &everything, 10).unwrap()).len(), 7);
    let remembered = Filter { remembered_only: true, ..Filter::default() };
    assert_eq!(paths(index.lexical("boat", &remembered, 10).unwrap()), [] as [&str; 0]);
    assert_eq!(index.embedding().unwrap().unwrap().fingerprint, "four numbers");
}

#[test]
fn an_index_of_every_format_opens_is_whole_and_takes_a_commit() {
    let formats = formats();
    assert!(formats.len() >= 2, "{formats:?}");
    for format in formats {
        for read_only in [true, false] {
            let dir = of_format(format);
            let index = Index::open(dir.path(), &IndexOptions { read_only }).unwrap();
            check_content(&index);
            assert_eq!(index.roots().unwrap().iter().filter(|root| root.settings.hidden).count(), 0);
            let mut writer = index.writer(None).unwrap();
            writer.set_setting("embedding_model", "four").unwrap();
            writer.commit().unwrap();
            drop(writer);
            assert_eq!(index.setting("embedding_model").unwrap().as_deref(), Some("four"));
            assert_eq!(index.setting("stale_terms").unwrap(), None, "postings were made anew");
            check_content(&Index::open(dir.path(), &IndexOptions { read_only: true }).unwrap());
        }
    }
}

#[test]
fn an_older_index_tells_how_far_it_is_brought_and_can_be_stopped() {
    let dir = of_format(2);
    let index = Index::open(dir.path(), &IndexOptions { read_only: false }).unwrap();
    let stopped = index.writer_telling(None, &mut |_, _| false).expect_err("it was stopped");
    assert!(matches!(stopped, IndexError::Stopped { .. }), "{stopped}");
    check_content(&index);
    let mut told = Vec::new();
    let mut writer = index
        .writer_telling(None, &mut |done, total| {
            told.push((done, total));
            true
        })
        .unwrap();
    assert!(told.len() > 1 && told.is_sorted() && told[0].0 > 0, "{told:?}");
    assert!(told.last().is_some_and(|(done, total)| done == total), "{told:?}");
    writer.commit().unwrap();
    drop(writer);
    let mut again = Vec::new();
    drop(index.writer_telling(None, &mut |done, _| {
        again.push(done);
        true
    }));
    assert!(again.is_empty(), "the second writer has nothing to do: {again:?}");
    check_content(&index);
}

#[test]
fn the_newest_kept_index_has_the_present_format() {
    let dir = tempfile::tempdir().unwrap();
    drop(Index::open(dir.path(), &IndexOptions::default()).unwrap());
    // SQLite's `user_version` lies at byte 60 of the file (https://www.sqlite.org/fileformat.html, 1.3).
    let format_of = |dir: &Path| {
        let bytes = std::fs::read(dir.join("catalog.sqlite")).unwrap();
        u32::from_be_bytes(bytes[60..64].try_into().unwrap())
    };
    let newest = formats().pop().unwrap();
    assert_eq!(format_of(dir.path()), newest, "write one with examples/tiny_index.rs and keep it");
    for format in formats() {
        assert_eq!(format_of(&kept().join(format!("format-{format}"))), format);
    }
}

#[cfg(unix)]
#[test]
fn an_older_index_that_cannot_be_written_says_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let dir = of_format(1);
    let file = dir.path().join("catalog.sqlite");
    for path in [&file, &dir.path().to_owned()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    let opened = Index::open(dir.path(), &IndexOptions { read_only: true });
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&file).is_ok() {
        return; // whoever may do everything may write here, too
    }
    let error = opened.expect_err("it has to be migrated");
    assert!(matches!(error, IndexError::OlderFormat { found: 1, .. }), "{error}");
}
