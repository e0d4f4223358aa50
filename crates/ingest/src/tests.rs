//! What an ingestion promises, on real folders and a real index, with a model of eight numbers.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use docent_extract::{Document, ExtractError, Limits};
use docent_index::{EmbeddingSpec, Fate, FileStat, Filter, Index, IndexOptions, Writer};

use crate::pipeline::{Tools, run};
use crate::{Embed, IngestError, IngestOptions, Progress, Summary, approximate_tokens, examine};

/// A model whose vectors are made of the text's hash. Counts what it embeds and fails when told to.
#[derive(Default)]
struct HashModel {
    n_texts: AtomicUsize,
    fail_after: Option<usize>,
}

impl Embed for HashModel {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        if self.fail_after.is_some_and(|n| self.n_texts.load(Ordering::SeqCst) >= n) {
            return Err("told to fail".into());
        }
        self.n_texts.fetch_add(texts.len(), Ordering::SeqCst);
        let vector = |text: &&str| {
            let numbers: Vec<f32> =
                blake3::hash(text.as_bytes()).as_bytes()[..8].iter().map(|&b| f32::from(b) + 1.0).collect();
            let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
            numbers.into_iter().map(|n| n / length).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn count_tokens(&self, text: &str) -> usize {
        approximate_tokens(text)
    }
}

fn spec(fingerprint: &str) -> EmbeddingSpec {
    EmbeddingSpec { fingerprint: fingerprint.to_owned(), dim: 8 }
}

/// A folder of documents and an index.
struct Fixture {
    home: tempfile::TempDir,
    folder: tempfile::TempDir,
    options: IngestOptions,
}

/// What one ingestion did.
struct Done {
    summary: Summary,
    /// Names of the files whose content was read.
    read: Vec<String>,
    n_embedded: usize,
}

/// What the index holds of a file: hash, fate, text, spans, whether it can be found under its name.
type Held = (Option<[u8; 32]>, Fate, String, Vec<std::ops::Range<usize>>);

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let options =
            IngestOptions { n_threads: 2, commit_every: Duration::ZERO, ..IngestOptions::default() };
        let fixture =
            Self { home: tempfile::tempdir().unwrap(), folder: tempfile::tempdir().unwrap(), options };
        for (name, text) in files {
            fixture.write(name, text);
        }
        fixture
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file whose time of change lies safely in the past, different for each content.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.as_ref()).unwrap();
        let salt = u32::from_le_bytes(blake3::hash(text.as_ref()).as_bytes()[..4].try_into().unwrap());
        set_time(&path, u64::from(salt));
    }

    fn index(&self) -> Index {
        Index::open(self.home.path(), &IndexOptions { read_only: false }).unwrap()
    }

    fn writer(&self, fingerprint: Option<&str>) -> Writer {
        self.index().writer(fingerprint.map(spec)).unwrap()
    }

    fn ingest(&self) -> Done {
        self.try_ingest(&HashModel::default(), &|| false).unwrap()
    }

    fn try_ingest(&self, model: &HashModel, cancel: &dyn Fn() -> bool) -> Result<Done, IngestError> {
        self.ingest_roots(&[self.root()], model, cancel, &examine::read_file)
    }

    fn ingest_roots(
        &self,
        roots: &[PathBuf],
        model: &HashModel,
        cancel: &dyn Fn() -> bool,
        read_file: examine::ReadFile,
    ) -> Result<Done, IngestError> {
        let read = Mutex::new(Vec::new());
        let read_and_note = |path: &Path, max: u64| {
            read.lock().unwrap().push(path.file_name().unwrap().to_string_lossy().into_owned());
            read_file(path, max)
        };
        let tools = Tools { embed: Some(model), read_file: &read_and_note, extract: &extract };
        let mut writer = self.writer(Some("eight"));
        for root in roots {
            writer.add_root(root, true).unwrap();
        }
        let n_before = model.n_texts.load(Ordering::SeqCst);
        let summary = run(&mut writer, &tools, roots, &self.options, cancel, &mut |_| {})?;
        let mut read = read.into_inner().unwrap();
        read.sort();
        Ok(Done { summary, read, n_embedded: model.n_texts.load(Ordering::SeqCst) - n_before })
    }

    /// Everything the index holds, by name relative to the folder. Holds it against itself on the way.
    fn held(&self) -> BTreeMap<String, Held> {
        let index = self.index();
        let snapshot = index.snapshot().unwrap();
        let stats = index.stats().unwrap();
        assert_eq!(stats.n_chunks, stats.n_vectors, "every passage has its vector");
        let mut held = BTreeMap::new();
        for record in snapshot.files(&Filter::default()).unwrap() {
            let name = record
                .stat
                .path
                .strip_prefix(self.root())
                .unwrap_or(&record.stat.path)
                .to_string_lossy()
                .into_owned();
            let (mut text, mut spans) = (String::new(), Vec::new());
            if record.fate == Fate::Indexed {
                text = snapshot.document(record.id).unwrap().text;
                spans = snapshot.chunks_of(record.id).unwrap().into_iter().map(|(_, span)| span).collect();
                assert!(!spans.is_empty(), "{name} has passages");
            }
            held.insert(name, (record.hash, record.fate, text, spans));
        }
        held
    }

    fn names(&self) -> Vec<String> {
        self.held().into_keys().collect()
    }

    fn reason(&self, name: &str) -> String {
        match self.held().remove(name).unwrap().1 {
            Fate::Indexed => "indexed".to_owned(),
            Fate::Skipped(reason) => format!("skipped: {reason}"),
            Fate::Failed(reason) => format!("failed: {reason}"),
        }
    }
}

fn extract(path: &Path, bytes: &[u8]) -> Result<Document, ExtractError> {
    assert!(!bytes.starts_with(b"PANIC"), "told to panic");
    docent_extract::extract(path, bytes, &Limits::default())
}

fn set_time(path: &Path, second: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second % 1_000_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn nothing_is_read_when_nothing_changed() {
    let fixture =
        Fixture::new(&[("a.md", "# A\n\nOne."), ("b.txt", "Two."), ("empty.txt", ""), ("c.bin", "\0\0\0\0")]);
    let first = fixture.ingest();
    assert_eq!((first.summary.added, first.summary.skipped, first.read.len()), (2, 2, 4));
    let second = fixture.ingest();
    assert_eq!(second.read, [""; 0]);
    assert_eq!((second.summary.unchanged, second.summary.skipped, second.summary.n_changes()), (2, 2, 0));
}

#[test]
fn only_what_changed_is_read_and_embedded() {
    let fixture = Fixture::new(&[("a.md", "One."), ("b.md", "Two."), ("c.md", "Three.")]);
    fixture.ingest();
    fixture.write("b.md", "Two, changed.");
    let done = fixture.ingest();
    assert_eq!((done.read, done.n_embedded), (vec!["b.md".to_owned()], 1));
    assert_eq!((done.summary.changed, done.summary.unchanged), (1, 2));
    assert_eq!(fixture.held()["b.md"].2, "Two, changed.");
}

#[test]
fn a_change_that_keeps_the_size_is_seen_by_its_time() {
    let fixture = Fixture::new(&[("a.md", "One.")]);
    fixture.ingest();
    fixture.write("a.md", "Two.");
    assert_eq!(fixture.ingest().summary.changed, 1);
}

#[test]
fn two_changes_within_one_tick_of_the_clock_are_both_seen() {
    let fixture = Fixture::new(&[]);
    for round in 0..8 {
        fs::write(fixture.path("a.md"), format!("One {round}.")).unwrap(); // its time of change is now
        fixture.ingest();
        fs::write(fixture.path("a.md"), format!("Two {round}.")).unwrap();
        fixture.ingest();
        assert_eq!(fixture.held()["a.md"].2, format!("Two {round}."));
    }
}

#[test]
fn a_touched_file_is_read_once_and_not_embedded() {
    let fixture = Fixture::new(&[("a.md", "One.")]);
    fixture.ingest();
    set_time(&fixture.path("a.md"), 5);
    let done = fixture.ingest();
    assert_eq!((done.read.len(), done.n_embedded, done.summary.unchanged), (1, 0, 1));
    assert_eq!(fixture.ingest().read.len(), 0);
}

#[test]
fn a_deleted_file_is_gone_from_the_index() {
    let fixture = Fixture::new(&[("a.md", "One."), ("b.md", "Two."), ("empty.md", "")]);
    fixture.ingest();
    fs::remove_file(fixture.path("a.md")).unwrap();
    fs::remove_file(fixture.path("empty.md")).unwrap();
    assert_eq!(fixture.ingest().summary.removed, 2);
    assert_eq!(fixture.names(), ["b.md"]);
}

#[test]
fn a_renamed_file_is_recognised_and_not_embedded_again() {
    let fixture = Fixture::new(&[("old/a.md", "One."), ("old/b.md", "Two."), ("c.md", "Three.")]);
    fixture.ingest();
    let id = fixture.index().file(&fixture.path("old/a.md")).unwrap().unwrap().id;
    fs::rename(fixture.path("old"), fixture.path("new")).unwrap();
    let done = fixture.ingest();
    assert_eq!((done.summary.renamed, done.summary.removed, done.n_embedded), (2, 0, 0));
    assert_eq!(fixture.names(), ["c.md", "new/a.md", "new/b.md"]);
    assert_eq!(fixture.index().file(&fixture.path("new/a.md")).unwrap().unwrap().id, id);
    assert_eq!(fixture.ingest().read.len(), 0);
}

#[test]
fn a_file_renamed_over_another_takes_its_place() {
    let fixture = Fixture::new(&[("a.md", "One."), ("b.md", "Two.")]);
    fixture.ingest();
    fs::rename(fixture.path("a.md"), fixture.path("b.md")).unwrap();
    let done = fixture.ingest();
    assert_eq!((done.summary.renamed, done.n_embedded), (1, 0));
    assert_eq!(
        fixture.held().into_iter().map(|(n, h)| (n, h.2)).collect::<Vec<_>>(),
        [("b.md".into(), "One.".into())]
    );
}

#[test]
fn a_file_that_gets_another_extension_is_read_as_what_it_is_now() {
    let fixture = Fixture::new(&[("a.txt", "# Heading\n\nOne.")]);
    fixture.ingest();
    fs::rename(fixture.path("a.txt"), fixture.path("a.md")).unwrap();
    let done = fixture.ingest();
    assert_eq!((done.summary.renamed, done.summary.added, done.summary.removed), (0, 1, 1));
    assert_eq!(fixture.index().file(&fixture.path("a.md")).unwrap().unwrap().format, "markdown");
}

#[test]
fn copies_are_indexed_each_and_embedded_once() {
    let fixture = Fixture::new(&[("a.md", "One."), ("b.md", "One."), ("sub/c.md", "One.")]);
    let done = fixture.ingest();
    assert_eq!((done.summary.added, done.n_embedded), (3, 1));
    fs::remove_file(fixture.path("a.md")).unwrap();
    fixture.write("d.md", "One.");
    fixture.write("e.md", "One.");
    let done = fixture.ingest();
    assert_eq!((done.summary.renamed, done.summary.added, done.summary.removed), (1, 1, 0));
    assert_eq!(fixture.names(), ["b.md", "d.md", "e.md", "sub/c.md"]);
}

#[test]
fn every_bad_file_is_listed_with_its_reason_and_the_others_are_indexed() {
    let mut fixture =
        Fixture::new(&[("good.md", "Good."), ("empty.txt", ""), ("broken.docx", "PK\u{3}\u{4}nonsense")]);
    fixture.write("picture.png", b"\x89PNG\r\n\x1a\n\0\0");
    fixture.write("huge.txt", "x".repeat(3000));
    fixture.write("panics.txt", "PANIC");
    fixture.options.limits.max_bytes = 2000;
    let done = fixture.ingest();
    assert!(!done.read.contains(&"huge.txt".to_owned()), "a file over the limit is not read");
    assert_eq!((done.summary.added, done.summary.skipped, done.summary.failed), (1, 3, 2));
    for (name, start) in [
        ("good.md", "indexed"),
        ("empty.txt", "skipped: "),
        ("picture.png", "skipped: "),
        ("huge.txt", "skipped: larger than"),
        ("broken.docx", "failed: "),
        ("panics.txt", "failed: "),
    ] {
        assert!(fixture.reason(name).starts_with(start), "{name}: {}", fixture.reason(name));
    }
    let again = fixture.ingest();
    assert_eq!((again.read.len(), again.summary.skipped, again.summary.failed), (0, 3, 2), "still told");
    fixture.options.limits.max_bytes = 4000;
    assert_eq!(fixture.ingest().read, ["huge.txt"]);
    assert_eq!(fixture.reason("huge.txt"), "indexed");
}

#[test]
fn a_file_that_failed_is_tried_again_when_asked_for() {
    let mut fixture = Fixture::new(&[("a.txt", "PANIC")]);
    fixture.ingest();
    assert_eq!(fixture.ingest().read.len(), 0);
    fixture.options.retry_failed = true;
    let done = fixture.ingest();
    assert_eq!((done.read.len(), done.summary.failed), (1, 1));
}

#[test]
fn a_file_that_was_skipped_is_tried_again_when_asked_for() {
    // A later version may read what this one does not.
    let mut fixture = Fixture::new(&[("a.txt", "\u{0}\u{1}\u{2}"), ("b.txt", "Text.")]);
    assert_eq!(fixture.ingest().summary.skipped, 1);
    assert_eq!(fixture.ingest().read.len(), 0);
    fixture.options.retry_failed = true;
    let done = fixture.ingest();
    assert_eq!((done.read.len(), done.summary.skipped), (1, 1));
}

#[test]
fn an_unreadable_file_fails_and_is_tried_again_without_being_changed() {
    let fixture = Fixture::new(&[("a.txt", "One."), ("b.txt", "Two.")]);
    let locked = |path: &Path, max: u64| {
        if path.ends_with("a.txt") {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            examine::read_file(path, max)
        }
    };
    let model = HashModel::default();
    let done = fixture.ingest_roots(&[fixture.root()], &model, &|| false, &locked).unwrap();
    assert_eq!((done.summary.added, done.summary.failed), (1, 1));
    assert!(fixture.reason("a.txt").contains("permissions"));
    let done = fixture.ingest();
    assert_eq!((done.read, done.summary.changed, done.summary.failed), (vec!["a.txt".to_owned()], 1, 0));
}

#[test]
fn a_file_that_goes_while_it_is_looked_at_is_no_failure() {
    let fixture = Fixture::new(&[("a.txt", "One."), ("b.txt", "Two.")]);
    fixture.ingest();
    fixture.write("a.txt", "One, changed.");
    fixture.write("new.txt", "New.");
    let gone = |_: &Path, _: u64| -> io::Result<(FileStat, Vec<u8>)> { Err(io::ErrorKind::NotFound.into()) };
    let done = fixture.ingest_roots(&[fixture.root()], &HashModel::default(), &|| false, &gone).unwrap();
    assert_eq!((done.summary.removed, done.summary.failed), (1, 0));
    assert_eq!(fixture.names(), ["b.txt"]);
}

#[test]
fn a_root_that_is_gone_keeps_its_data_and_does_not_hold_up_the_others() {
    let fixture = Fixture::new(&[("disk/a.txt", "One."), ("here/b.txt", "Two.")]);
    let roots = [fixture.path("disk"), fixture.path("here")];
    let ingest = || fixture.ingest_roots(&roots, &HashModel::default(), &|| false, &examine::read_file);
    ingest().unwrap();
    fs::rename(fixture.path("disk"), fixture.path("unmounted")).unwrap();
    fixture.write("here/c.txt", "Three.");
    let error = ingest().err().expect("a lost root is told");
    assert!(matches!(&error, IngestError::RootMissing { path } if path.ends_with("disk")), "{error}");
    assert_eq!(fixture.names(), ["disk/a.txt", "here/b.txt", "here/c.txt"]);
    fs::rename(fixture.path("unmounted"), fixture.path("disk")).unwrap();
    assert_eq!(ingest().unwrap().read.len(), 0);
}

#[test]
fn an_outer_root_does_not_remove_what_a_root_within_it_lists() {
    let fixture = Fixture::new(&[("a.txt", "One."), (".hidden/b.txt", "Two.")]);
    let ingest =
        |root: PathBuf| fixture.ingest_roots(&[root], &HashModel::default(), &|| false, &examine::read_file);
    ingest(fixture.path(".hidden")).unwrap();
    ingest(fixture.root()).unwrap();
    assert_eq!(fixture.names(), [".hidden/b.txt", "a.txt"]);
    fs::remove_file(fixture.path(".hidden/b.txt")).unwrap();
    ingest(fixture.path(".hidden")).unwrap();
    assert_eq!(fixture.names(), ["a.txt"]);
}

#[test]
fn a_file_that_becomes_ignored_is_removed() {
    let fixture = Fixture::new(&[("a.txt", "One."), ("b.txt", "Two.")]);
    fixture.ingest();
    fixture.write(".docentignore", "a.*");
    assert_eq!(fixture.ingest().summary.removed, 1);
    assert_eq!(fixture.names(), ["b.txt"]);
}

/// A folder with every kind of change since `ingest` saw it first.
fn changed_folder() -> Fixture {
    let text = |name: &str| format!("# {name}\n\n{}", format!("Some words about {name}. ").repeat(120));
    let fixture = Fixture::new(&[]);
    for name in ["keep.md", "edit.md", "delete.md", "move.md", "touch.md", "swap1.md", "swap2.md"] {
        fixture.write(name, text(name));
    }
    fixture.ingest();
    fixture.write("edit.md", text("edited"));
    fs::remove_file(fixture.path("delete.md")).unwrap();
    fs::create_dir(fixture.path("sub")).unwrap();
    fs::rename(fixture.path("move.md"), fixture.path("sub/moved.md")).unwrap();
    set_time(&fixture.path("touch.md"), 77);
    fixture.write("swap1.md", text("swap2.md"));
    fixture.write("swap2.md", text("swap1.md"));
    fixture.write("new.md", text("new"));
    fixture.write("bad.docx", "PK\u{3}\u{4}");
    fixture
}

/// What an index built in one go holds of the folder.
fn in_one_go(fixture: &Fixture) -> BTreeMap<String, Held> {
    let other = Fixture {
        home: tempfile::tempdir().unwrap(),
        folder: tempfile::tempdir().unwrap(),
        ..Fixture::new(&[])
    };
    let done =
        other.ingest_roots(&[fixture.root()], &HashModel::default(), &|| false, &examine::read_file).unwrap();
    assert!(done.summary.failed == 1 && done.summary.added == 7);
    let prefix = format!("{}/", fixture.root().display());
    other.held().into_iter().map(|(name, held)| (name.replace(&prefix, ""), held)).collect()
}

#[test]
fn an_ingestion_stopped_at_any_moment_is_completed_by_the_next() {
    for stop_at in 0.. {
        let fixture = changed_folder();
        let n_asked = AtomicUsize::new(0);
        let cancel = || n_asked.fetch_add(1, Ordering::SeqCst) >= stop_at;
        let stopped = fixture.try_ingest(&HashModel::default(), &cancel).unwrap().summary;
        fixture.held(); // consistent in itself
        let finished = fixture.ingest().summary;
        assert_eq!(fixture.held(), in_one_go(&fixture), "stopped when asked for the {stop_at}th time");
        assert!(!finished.interrupted);
        assert_eq!(fixture.ingest().read.len(), 0);
        if !stopped.interrupted {
            assert!(stop_at > 8, "asked often enough");
            return;
        }
    }
}

#[test]
fn an_ingestion_that_dies_at_any_passage_is_completed_by_the_next() {
    for fail_after in 0.. {
        let fixture = changed_folder();
        let model = HashModel { fail_after: Some(fail_after), ..HashModel::default() };
        let died = fixture.try_ingest(&model, &|| false);
        fixture.held();
        fixture.ingest();
        assert_eq!(fixture.held(), in_one_go(&fixture), "died after {fail_after} passages");
        match died {
            Ok(_) => return,
            Err(error) => assert!(matches!(error, IngestError::Embed { .. }), "{error}"),
        }
    }
}

#[test]
fn documents_indexed_without_a_model_get_vectors_with_one_and_again_with_another() {
    let fixture = Fixture::new(&[("a.md", "# A\n\nOne."), ("b.md", "Two.")]);
    let root = [fixture.root()];
    let tools = |embed| Tools { embed, read_file: &examine::read_file, extract: &extract };
    let ingest = |embed, fingerprint| {
        run(&mut fixture.writer(fingerprint), &tools(embed), &root, &fixture.options, &|| false, &mut |_| {})
            .unwrap()
    };
    assert_eq!(ingest(None, None).added, 2);
    assert_eq!(fixture.index().stats().unwrap().n_vectors, 0);
    let model = HashModel::default();
    for fingerprint in ["eight", "other"] {
        let summary = ingest(Some(&model), Some(fingerprint));
        assert_eq!((summary.n_read, summary.n_embedded), (0, 2));
        let stats = fixture.index().stats().unwrap();
        assert_eq!((stats.n_vectors, stats.embedding), (2, Some(spec(fingerprint))));
    }
}

#[test]
fn progress_counts_up_to_everything() {
    let fixture = Fixture::new(&[("a.md", "One."), ("b.md", &"Two words. ".repeat(2000)), ("empty.md", "")]);
    let model = HashModel::default();
    let tools = Tools { embed: Some(&model), read_file: &examine::read_file, extract: &extract };
    let mut told = Vec::new();
    let mut writer = fixture.writer(Some("eight"));
    run(&mut writer, &tools, &[fixture.root()], &fixture.options, &|| false, &mut |progress| {
        told.push(progress)
    })
    .unwrap();
    let mut last = 0;
    for progress in &told {
        if let Progress::Working { bytes_done, bytes_total, .. } = progress {
            assert!(*bytes_done >= last && bytes_done <= bytes_total, "{told:?}");
            last = *bytes_done;
        }
    }
    let Some(Progress::Working { files_done, files_total, bytes_done, bytes_total, .. }) = told.last() else {
        panic!("no progress: {told:?}");
    };
    assert_eq!((*files_done, *bytes_done), (3, 22_004));
    assert_eq!((files_done, bytes_done), (files_total, bytes_total));
}

#[cfg(unix)]
#[test]
fn what_lies_in_a_folder_that_cannot_be_listed_any_more_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(&[("locked/a.txt", "One."), ("b.txt", "Two.")]);
    fixture.ingest();
    let locked = fixture.path("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&locked).is_err() {
        // (Root may list every folder; then there is nothing to see here.)
        assert_eq!(fixture.ingest().summary.failed, 1);
        assert_eq!(fixture.names(), ["b.txt", "locked", "locked/a.txt"]);
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fixture.ingest().summary.failed, 0);
    assert_eq!(fixture.names(), ["b.txt", "locked/a.txt"]);
}

#[test]
fn a_moved_root_is_recognised_by_its_content_and_forgotten_under_its_old_name() {
    let fixture =
        Fixture::new(&[("old/a.txt", "One."), ("old/sub/b.txt", "Two."), ("old/sub/c.txt", "Two.")]);
    let ingest = |name: &str| {
        let model = HashModel::default();
        fixture.ingest_roots(&[fixture.path(name)], &model, &|| false, &examine::read_file).unwrap()
    };
    ingest("old");
    fs::rename(fixture.path("old"), fixture.path("new")).unwrap();
    let done = ingest("new");
    assert_eq!((done.summary.renamed, done.summary.added, done.n_embedded), (3, 0, 0));
    assert_eq!(fixture.names(), ["new/a.txt", "new/sub/b.txt", "new/sub/c.txt"]);
    let roots: Vec<PathBuf> = fixture.index().roots().unwrap().into_iter().map(|root| root.path).collect();
    assert_eq!(roots, [fixture.path("new")]);
}

#[test]
fn a_missing_root_of_which_only_a_part_turns_up_keeps_the_rest() {
    let fixture = Fixture::new(&[("disk/a.txt", "One."), ("disk/b.txt", "Two."), ("here/c.txt", "Three.")]);
    let roots = [fixture.path("disk"), fixture.path("here")];
    let ingest = |roots: &[PathBuf]| {
        fixture.ingest_roots(roots, &HashModel::default(), &|| false, &examine::read_file).unwrap()
    };
    ingest(&roots);
    fs::rename(fixture.path("disk"), fixture.path("unmounted")).unwrap();
    fs::copy(fixture.path("unmounted/a.txt"), fixture.path("here/a.txt")).unwrap();
    ingest(&roots[1..]);
    assert_eq!(fixture.names(), ["disk/b.txt", "here/a.txt", "here/c.txt"]);
    assert_eq!(fixture.index().roots().unwrap().len(), 2);
}

#[test]
fn how_a_root_is_read_is_remembered_and_holds_for_folders_within_it() {
    let fixture = Fixture::new(&[("a.txt", "One."), (".b.txt", "Two."), ("sub/.c.txt", "Three.")]);
    fixture.ingest();
    assert_eq!(fixture.names(), ["a.txt"]);
    let mut writer = fixture.writer(Some("eight"));
    let settings = docent_index::RootSettings { hidden: true, no_ignore: false };
    writer.set_root_settings(fixture.root(), settings).unwrap();
    writer.commit().unwrap();
    drop(writer);
    fixture.ingest();
    let all = [".b.txt", "a.txt", "sub/.c.txt"];
    assert_eq!(fixture.names(), all);
    // Looked into as a root of its own: what the outer root lists there stays.
    let sub = [fixture.path("sub")];
    fixture.ingest_roots(&sub, &HashModel::default(), &|| false, &examine::read_file).unwrap();
    assert_eq!(fixture.names(), all);
}

#[test]
fn a_book_that_dies_in_the_midst_goes_on_where_it_was() {
    let paragraph = |i: usize| format!("Paragraph {i} {}.\n\n", "says something of its own ".repeat(60));
    let book: String = (0..300).map(paragraph).collect();
    let fixture = Fixture::new(&[("book.txt", &book)]);
    let model = HashModel { fail_after: Some(150), ..HashModel::default() };
    fixture.try_ingest(&model, &|| false).err().expect("it was told to die");
    let n_before = fixture.index().stats().unwrap().n_vectors;
    assert!(n_before >= 128, "{n_before}");
    let done = fixture.ingest();
    let stats = fixture.index().stats().unwrap();
    assert!(done.read.is_empty(), "the file is not read again");
    assert_eq!(done.n_embedded + n_before, stats.n_chunks);
    fixture.held();
}

#[test]
fn a_difference_says_what_an_ingestion_would_do_and_changes_nothing() {
    let fixture = Fixture::new(&[("a.txt", "One."), ("b.txt", "Two."), ("c.txt", "Three.")]);
    fixture.ingest();
    let difference = || {
        let index = fixture.index();
        let snapshot = index.snapshot().unwrap();
        let roots = [fixture.root()];
        crate::difference(&snapshot, &roots, &fixture.options, &|| false).unwrap().0
    };
    assert!(difference().is_empty());
    fixture.write("a.txt", "Another.");
    fixture.write("d.txt", "Four.");
    fs::remove_file(fixture.path("b.txt")).unwrap();
    for _ in 0..2 {
        let found = difference();
        assert_eq!(found.changed, [fixture.path("a.txt")]);
        assert_eq!(found.new, [fixture.path("d.txt")]);
        assert_eq!(found.gone, [fixture.path("b.txt")]);
    }
    fixture.ingest();
    assert!(difference().is_empty());
}
