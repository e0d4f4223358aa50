//! Whatever happens to the disk: what is found is right, what is damaged is a miss and told, and the rest is not concerned.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{
    BLOCK, FAULTS, FailingStorage, Fault, blocks, check, keep, namespace, options, sequence, store,
};
use docent_prefix::{Storage as _, Store};

/// The files of blocks below `dir`, by the position of their first token.
fn files(dir: &Path) -> Vec<(u64, PathBuf)> {
    let mut files = Vec::new();
    for folder in fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(folder.path()).unwrap().flatten() {
            let bytes = fs::read(file.path()).unwrap();
            if bytes.starts_with(b"docentKV") {
                files.push((u64::from_le_bytes(bytes[112..120].try_into().unwrap()), file.path()));
            }
        }
    }
    files.sort();
    files
}

/// Named ranges of a block's file that a fault can hit, read off its header.
fn parts(bytes: &[u8]) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (header_len, n_tokens, n_owners, n_sections) = (u32_at(12), u32_at(128), u32_at(132), u32_at(136));
    let owners = 144 + 48 * n_sections;
    let tokens = owners + 32 * n_owners;
    let mut parts = vec![
        ("magic", 0..8),
        ("version", 8..12),
        ("header length", 12..16),
        ("namespace", 16..48),
        ("parent", 48..80),
        ("key", 80..112),
        ("position", 112..120),
        ("seconds", 120..128),
        ("counts", 128..140),
        ("flags", 140..144),
        ("section table", 144..owners),
        ("owners", owners..tokens),
        ("tokens", tokens..tokens + 4 * n_tokens),
        ("header checksum", header_len - 32..header_len),
    ];
    for section in 0..n_sections {
        let start = u64_at(144 + 48 * section);
        let name = ["values", "convolution state"][section];
        parts.push((name, start..start + u64_at(144 + 48 * section + 8)));
    }
    parts
}

/// Everything that can be done to a part of a file; the file's bytes afterwards.
fn damages(bytes: &[u8], part: &std::ops::Range<usize>) -> Vec<(String, Vec<u8>)> {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.to_vec();
        change(&mut changed);
        changed
    };
    let middle = part.start + part.len() / 2;
    let mut damages = vec![
        ("first byte flipped".to_owned(), changed(&|b| b[part.start] ^= 1)),
        ("middle byte flipped".to_owned(), changed(&|b| b[middle] ^= 0x80)),
        ("last byte flipped".to_owned(), changed(&|b| b[part.end - 1] ^= 0x10)),
        ("zeros".to_owned(), changed(&|b| b[part.clone()].fill(0))),
        ("ones".to_owned(), changed(&|b| b[part.clone()].fill(0xff))),
        ("cut before".to_owned(), changed(&|b| b.truncate(part.start))),
        ("cut inside".to_owned(), changed(&|b| b.truncate(middle))),
        (
            "a byte missing".to_owned(),
            changed(&|b| {
                b.remove(middle);
            }),
        ),
        ("a byte more".to_owned(), changed(&|b| b.insert(middle, 0x55))),
    ];
    damages.retain(|(_, changed)| changed != bytes);
    damages
}

#[test]
fn a_damaged_part_of_a_block_is_a_miss_that_is_told_and_mended_and_concerns_nobody_else() {
    let (tokens, other) = (sequence(1, 3 * BLOCK + 3), sequence(2, 2 * BLOCK));
    let mut n_cases = 0;
    let pristine = tempfile::tempdir().unwrap();
    let writer = store(pristine.path());
    keep(&writer, &tokens, &[[7; 32], [8; 32]]);
    keep(&writer, &other, &[]);
    assert_eq!(writer.flush().n_blocks, 6);
    let files = files(pristine.path());
    for (first_pos, path) in files {
        let bytes = fs::read(&path).unwrap();
        let is_others = blocks(&other, &[]).iter().any(|b| bytes[80..112] == b.header.key.as_bytes()[..]);
        if is_others {
            continue;
        }
        for (part, range) in parts(&bytes) {
            for (damage, changed) in damages(&bytes, &range) {
                n_cases += 1;
                let what = format!("block at {first_pos}, {part}: {damage}");
                fs::write(&path, &changed).unwrap();

                let reader = store(pristine.path());
                let found = reader.find(&namespace(), &tokens, 0);
                check(&found, &tokens);
                assert_eq!(found.n_tokens, first_pos as usize, "{what}");
                assert_eq!(reader.find(&namespace(), &other, 0).n_tokens, other.len(), "{what}");

                // Found when it was needed, and found again by looking.
                let verified = store(pristine.path()).verify();
                assert_eq!((verified.damaged.len(), verified.noted.len()), (1, 1), "{what}: {verified:?}");
                assert!(!path.exists(), "{what}");

                // The reader computes it again, and all is as before.
                let reader = store(pristine.path());
                keep(&reader, &tokens, &[[7; 32], [8; 32]]);
                assert_eq!(reader.flush().failure, None, "{what}");
                let found = store(pristine.path()).find(&namespace(), &tokens, 0);
                assert_eq!(found.n_tokens, tokens.len(), "{what}");
                check(&found, &tokens);
            }
        }
    }
    assert!(n_cases > 400, "{n_cases} cases");
}

#[test]
fn a_damaged_block_is_mended_by_whoever_computes_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 2 * BLOCK);
    let writer = store(dir.path());
    keep(&writer, &tokens, &[]);
    writer.flush();
    let (_, path) = files(dir.path()).remove(1);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let reader = store(dir.path());
    assert_eq!(reader.find(&namespace(), &tokens, 0).n_tokens, BLOCK);
    keep(&reader, &tokens, &[]);
    assert_eq!(reader.find(&namespace(), &tokens, 0).n_tokens, 2 * BLOCK, "at once");
    assert_eq!(reader.flush().n_blocks, 1);
    check(&reader.find(&namespace(), &tokens, 0), &tokens);
    let verified = store(dir.path()).verify();
    assert_eq!((verified.n_good, verified.damaged.len(), verified.noted.len()), (2, 0, 1));
    assert_eq!(store(dir.path()).verify().noted.len(), 0, "told once");
}

#[test]
fn a_write_that_goes_wrong_at_any_step_leaves_nothing_that_is_believed_and_not_true() {
    let tokens = sequence(3, 3 * BLOCK + 5);
    let n_steps = {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(FailingStorage::new(dir.path(), Fault::Once, usize::MAX));
        let store = Store::open(storage.clone(), options());
        keep(&store, &tokens, &[]);
        store.flush();
        storage.steps().len()
    };
    assert!(n_steps > 20, "{n_steps}");
    let mut n_cases = 0;
    for fault in FAULTS {
        for at in 0..n_steps {
            n_cases += 1;
            let dir = tempfile::tempdir().unwrap();
            let storage = Arc::new(FailingStorage::new(dir.path(), fault, at));
            let failing = Store::open(storage.clone(), options());
            keep(&failing, &tokens, &[]);
            // This process has what it computed, written or not.
            let found = failing.find(&namespace(), &tokens, 0);
            check(&found, &tokens);
            failing.flush();
            let found = failing.find(&namespace(), &tokens, 0);
            check(&found, &tokens);
            let what = format!("{fault:?} at {at}: {:?}", storage.steps().get(at));
            let is_quiet = matches!(fault, Fault::Half | Fault::Flip);
            assert!(is_quiet || found.n_tokens == tokens.len(), "{what}");
            drop(failing);

            // Another one finds what is whole, mends the rest, and then it is all there.
            let next = store(dir.path());
            check(&next.find(&namespace(), &tokens, 0), &tokens);
            keep(&next, &tokens, &[]);
            assert_eq!(next.flush().failure, None, "{what}");
            drop(next);
            let last = store(dir.path());
            last.verify();
            check(&last.find(&namespace(), &tokens, 0), &tokens);
            keep(&last, &tokens, &[]);
            last.flush();
            let found = store(dir.path()).find(&namespace(), &tokens, 0);
            check(&found, &tokens);
            assert_eq!(found.n_tokens, tokens.len(), "{what}");
            assert!(store(dir.path()).verify().damaged.is_empty(), "{what}");
        }
    }
    assert!(n_cases > 100, "{n_cases} cases");
}

#[test]
fn a_block_of_another_namespace_or_under_another_name_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let (tokens, other) = (sequence(1, BLOCK), sequence(2, BLOCK));
    let writer = store(dir.path());
    keep(&writer, &tokens, &[]);
    keep(&writer, &other, &[]);
    writer.flush();
    let files: Vec<PathBuf> = files(dir.path()).into_iter().map(|(_, path)| path).collect();
    // The content of one under the name of the other.
    let first = fs::read(&files[0]).unwrap();
    fs::copy(&files[1], &files[0]).unwrap();
    let reader = store(dir.path());
    let n_found = [&tokens, &other].map(|tokens| reader.find(&namespace(), tokens, 0).n_tokens);
    assert_eq!(n_found.iter().sum::<usize>(), BLOCK, "one is right, the other is not there");
    // All of a namespace's files in the folder of another.
    fs::write(&files[0], &first).unwrap();
    let foreign = docent_prefix::Namespace::of(&[("test", b"2".to_vec())]);
    let foreign_store = store(dir.path());
    foreign_store.describe(&foreign, "another model");
    let folder = fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|path| path.join("about").exists());
    for file in &files {
        fs::copy(file, folder.clone().unwrap().join(file.file_name().unwrap())).unwrap();
    }
    assert_eq!(store(dir.path()).find(&foreign, &tokens, 0).n_tokens, 0);
    let verified = store(dir.path()).verify();
    assert_eq!((verified.n_good, verified.damaged.len()), (2, 2), "{verified:?}");
    assert!(verified.damaged.iter().all(|(_, why)| why.contains("another model")), "{verified:?}");
}

#[test]
fn strange_files_in_the_folders_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 2 * BLOCK);
    let writer = store(dir.path());
    keep(&writer, &tokens, &[]);
    writer.flush();
    let folder = files(dir.path())[0].1.parent().unwrap().to_owned();
    for name in ["lock", "tmp-1-1", ".hidden", "0-0"] {
        fs::write(folder.join(name), b"x").unwrap();
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    fs::write(dir.path().join("uses"), b"torn").unwrap();
    fs::write(dir.path().join("facts"), [9; 123]).unwrap();
    let reader = store(dir.path());
    assert_eq!(reader.find(&namespace(), &tokens, 0).n_tokens, 2 * BLOCK);
    assert_eq!(reader.recall(&[9; 32]), None);
    assert!(reader.verify().damaged.is_empty());
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_a_store_in_memory() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o500)).unwrap();
    let tokens = sequence(1, 3 * BLOCK);
    let store = store(&root);
    keep(&store, &tokens, &[]);
    let written = store.flush();
    // Whoever is root may write anywhere.
    if written.n_blocks == 0 {
        assert!(written.failure.is_some());
    }
    let found = store.find(&namespace(), &tokens, 0);
    check(&found, &tokens);
    assert_eq!(found.n_tokens, tokens.len());
}

#[test]
#[cfg(unix)]
fn folders_and_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let writer = store(&root);
    keep(&writer, &sequence(1, BLOCK), &[]);
    writer.flush();
    writer.remember(&[1; 32], &[2; 32]);
    let _ = writer.find(&namespace(), &sequence(1, BLOCK), 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    for entry in fs::read_dir(&root).unwrap().flatten() {
        let expected = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&entry.path()), expected, "{}", entry.path().display());
    }
    assert!(files(&root).iter().all(|(_, path)| mode(path) == 0o600));
    assert!(docent_prefix::DiskStorage::new(&root).free_bytes().is_some());
}
