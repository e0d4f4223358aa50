//! A disk that fails at every single call of a commit: the index opens at the old or the new state, never between.
//!
//! The whole of a commit in a process of its own, above `storage.c`, which stands between it and the C library and makes the n-th
//! call fail that changes a file of the index, whoever makes it: SQLite for the catalog, tantivy for the postings, we for
//! the vectors. For every n and every kind of failure; each process that survives the failure either leaves without closing
//! anything, undoes and does its work again, or closes properly. Linux, and a C compiler, which SQLite needs anyway.
//!
//! Without a harness, because the program starts itself.

#[cfg(target_os = "linux")]
#[path = "../common/commits.rs"]
mod commits;
#[cfg(target_os = "linux")]
#[path = "../common/copy.rs"]
mod copy;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("test result: ok. 0 passed; 0 failed; 1 ignored; this disk exists on Linux only");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use docent_index::{Filter, Index, IndexOptions, Result, Writer};

    use super::commits::{first, second, spec};
    use super::copy::copy;

    /// What the process does after an error: leaves at once; undoes, works again and closes; undoes and closes.
    const ENDINGS: [&str; 3] = ["leave", "again", "close"];
    const KINDS: [&str; 4] = ["error", "full", "short", "kill"];
    /// Not every call in the ordinary suite: `--include-ignored` takes them all.
    const EVERY: usize = 7;
    const DONE: i32 = 0;
    const FAILED: i32 = 3;

    pub fn main() {
        match std::env::var("DOCENT_FAULTS_ENDING") {
            Ok(ending) => child(&ending),
            Err(_) => parent(),
        }
    }

    fn writer(dir: &Path) -> Result<Writer> {
        Index::open(dir, &IndexOptions::default())?.writer(Some(spec()))
    }

    fn child(ending: &str) {
        let dir = PathBuf::from(std::env::var_os("FAULT_DIR").expect("the parent names the folder"));
        let work = || -> Result<()> {
            let mut writer = writer(&dir)?;
            let mut result = second(&mut writer).map(drop);
            if result.is_err() {
                let undone = writer.rollback();
                match ending {
                    "leave" => std::process::exit(FAILED), // closes nothing: no destructor runs
                    "again" if undone.is_ok() => result = second(&mut writer).map(drop),
                    _ => {}
                }
            } else if ending == "leave" {
                std::process::exit(DONE);
            }
            result
        };
        std::process::exit(if work().is_ok() { DONE } else { FAILED });
    }

    /// Everything a user can see of an index, and what its check says.
    fn content(dir: &Path) -> (BTreeSet<String>, Vec<docent_index::Problem>) {
        let index = Index::open(dir, &IndexOptions { read_only: true }).expect("it opens");
        let snapshot = index.snapshot().expect("it has a state");
        let everything = Filter::default();
        let mut seen = BTreeSet::new();
        for file in snapshot.files(&everything).unwrap() {
            let path = file.stat.path.display().to_string();
            seen.insert(format!("{path} {:?} {} {:?}", file.fate, file.n_chunks, file.hash));
            seen.insert(snapshot.document(file.id).unwrap().text);
        }
        for (id, _) in snapshot.lexical("common", &everything, 10_000).unwrap() {
            let chunk = snapshot.chunk(id).unwrap();
            seen.insert(format!("words {} {:?} {}", chunk.path.display(), chunk.span, chunk.text));
        }
        for (id, score) in snapshot.vector(&[0.6, 0.8], &everything, 10_000).unwrap() {
            let chunk = snapshot.chunk(id).unwrap();
            seen.insert(format!("vector {} {:?} {score}", chunk.path.display(), chunk.span));
        }
        drop(snapshot);
        (seen, index.check().unwrap())
    }

    struct Disk {
        library: PathBuf,
        prepared: PathBuf,
        work: PathBuf,
    }

    impl Disk {
        /// Runs the commit on a disk whose call `at` fails, on a fresh copy of the old state: exit code and number of calls.
        fn run(&self, dir: &Path, kind: &str, at: usize, ending: &str) -> (Option<i32>, usize) {
            let _ = std::fs::remove_dir_all(dir);
            copy(&self.prepared, dir);
            let counted = self.work.join("count");
            let status = Command::new(std::env::current_exe().unwrap())
                .env("LD_PRELOAD", &self.library)
                .env("FAULT_DIR", dir)
                .env("FAULT_KIND", kind)
                .env("FAULT_AT", at.to_string())
                .env("FAULT_COUNT", &counted)
                .env("DOCENT_FAULTS_ENDING", ending)
                .status()
                .expect("the program starts itself");
            let n_calls = std::fs::read_to_string(counted).ok().and_then(|n| n.trim().parse().ok());
            (status.code(), n_calls.unwrap_or(0))
        }
    }

    fn parent() {
        // In memory where there is such a place: the failures are made, so nothing depends on a real disk.
        let memory = Path::new("/dev/shm");
        let work = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let every = if std::env::args().any(|arg| arg == "--include-ignored") { 1 } else { EVERY };
        let disk = Disk {
            library: work.path().join("storage.so"),
            prepared: work.path().join("prepared"),
            work: work.path().to_owned(),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/storage.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&disk.library, &source])
            .arg("-ldl")
            .status();
        assert!(compiled.is_ok_and(|status| status.success()), "a C compiler is needed: cc");
        first(&mut writer(&disk.prepared).unwrap()).unwrap();
        let (old, problems) = content(&disk.prepared);
        assert_eq!(problems, []);

        let dir = work.path().join("index");
        let (code, n_calls) = disk.run(&dir, "error", 0, "close");
        let (new, problems) = content(&dir);
        assert_eq!((code, problems), (Some(DONE), Vec::new()), "nothing fails on a whole disk");
        assert!(old != new && n_calls > 30, "{n_calls} calls");

        let mut outcomes = [0; 2];
        for (i, kind) in KINDS.into_iter().enumerate() {
            for at in (1 + i..=n_calls).step_by(every) {
                let ending = ENDINGS[at % ENDINGS.len()];
                let (code, _) = disk.run(&dir, kind, at, ending);
                let what = format!("call {at} of {n_calls}: {kind}, then {ending}; exit {code:?}");
                let (seen, problems) = content(&dir);
                assert_eq!(problems, [], "{what}");
                assert!(seen == old || seen == new, "{what}: a state between the old and the new one");
                assert!(code != Some(DONE) || seen == new, "{what}: it was told that the commit succeeded");
                outcomes[usize::from(seen == new)] += 1;
                if seen == old {
                    second(&mut writer(&dir).unwrap()).unwrap();
                }
                let (seen, problems) = content(&dir);
                assert!(seen == new && problems.is_empty(), "{what}: done again: {problems:?}");
            }
        }
        assert!(outcomes.iter().all(|n| *n > 5), "{outcomes:?}");
        println!(
            "{n_calls} calls, one in {every} failing in {} ways: {} times the old state, {} times the new",
            KINDS.len(),
            outcomes[0],
            outcomes[1]
        );
        println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    }
}
