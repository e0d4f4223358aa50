//! Storage that fails on command, so that tests can cut a commit at every step.
//!
//! Every write and sync of the postings and vector files, and every step of the commit, asks [`Faults`] first.
//! Outside tests the answer costs one look at an empty option. A test either makes the n-th question fail (an
//! error the writer must survive) or takes a copy of the index's folder at it (what a killed process leaves).

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A test's answer to a step: go on, or fail.
pub(crate) type Hook = dyn FnMut(&str) -> io::Result<()> + Send;

/// Asked before every step that touches the disk. The default lets everything pass.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    hook: Option<Arc<Mutex<Box<Hook>>>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.hook.is_some() { "Faults(armed)" } else { "Faults" })
    }
}

impl Faults {
    /// Faults that ask `hook`, which is told the step's name.
    #[cfg(test)]
    pub(crate) fn new(hook: impl FnMut(&str) -> io::Result<()> + Send + 'static) -> Self {
        Faults { hook: Some(Arc::new(Mutex::new(Box::new(hook)))) }
    }

    /// To be called before a step; an error is the step's failure.
    pub(crate) fn before(&self, step: &str) -> io::Result<()> {
        match &self.hook {
            None => Ok(()),
            Some(hook) => (hook.lock().unwrap_or_else(PoisonError::into_inner))(step),
        }
    }

    /// Writes to `file`; a failing step leaves half of the bytes behind, as a disk that runs full does.
    pub(crate) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.before("write") {
            let _ = file.write_all(&bytes[..bytes.len() / 2]);
            return Err(error);
        }
        file.write(bytes)
    }

    /// Writes all of `bytes`, as [`write`](Self::write) does.
    pub(crate) fn write_all(&self, file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = self.write(file, bytes)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }
}
