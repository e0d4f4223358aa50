//! One file per command; each takes the context and its arguments and gives an outcome.

pub mod ask;
pub mod bench;
pub mod bench_embed;
pub mod beside;
pub mod cache;
pub mod chat;
pub mod collections;
pub mod config;
pub mod converse;
pub mod debug;
pub mod doctor;
pub mod eval;
pub mod extract;
pub mod history;
pub mod ingest;
pub mod inspect;
pub mod library;
pub mod manuals;
pub mod mcp;
pub mod models;
pub mod pack;
pub mod profile;
pub mod replay;
pub mod reset;
pub mod search;
pub mod serve;
pub mod status;
pub mod warm;
pub mod watch;

use docent::Library;
use docent_serve::Neighbour;

use crate::args::{Common, IngestArgs};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::settings;

/// What every command works with.
pub struct Context {
    pub library: Library,
    pub output: Output,
    pub interrupt: Interrupt,
    beside: Beside,
}

/// Which server this command may use.
#[derive(Debug, Clone, Copy)]
struct Beside {
    /// None.
    alone: bool,
    /// One that runs with so many threads; none: any.
    n_threads: Option<usize>,
}

impl Context {
    pub fn new(common: &Common, ingest: Option<&IngestArgs>) -> anyhow::Result<Self> {
        Ok(Self {
            library: Library::open(settings::resolve(common, ingest)?),
            output: Output::detect(common.quiet, common.color),
            interrupt: Interrupt::listen()?,
            beside: Beside {
                // The time that a model takes elsewhere cannot be told here.
                alone: common.alone || common.profile,
                n_threads: common.threads.map(usize::from),
            },
        })
    }

    /// The server that has this home's models open, if one runs and would answer as this command does.
    pub fn server(&self) -> Option<Neighbour> {
        let Beside { alone, n_threads } = self.beside;
        if alone { None } else { Neighbour::find(self.library.settings(), n_threads) }
    }
}

/// The user stopped the command before its main work began.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Interrupted {}
