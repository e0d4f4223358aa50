//! A home of its own for each test, and the `docent` command run in it.
#![allow(dead_code, reason = "every test program uses a part of it")]

pub mod cross_encoder;
pub mod http;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Both models that the tests use.
const MODELS: [&str; 2] = ["all-minilm-l6-v2", "smollm2-135m-instruct"];

/// A model with convolutions that answers noise, and always the same. Its tokens are bytes, as a rule.
pub fn tiny() -> String {
    repository().join("crates/lm/tests/data/tiny-q4_k_m.gguf").display().to_string()
}

/// A list of things of one kind, each with the shelf it stands on: `n` lines that only their numbers tell apart.
pub fn shelves(thing: &str, n: usize) -> String {
    (0..n).map(|i| format!("The {thing} number {i} stands on shelf {}.\n", i * 7 % 13)).collect()
}

/// A temporary folder with a home for docent and a folder for documents.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// A home without models.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("docs")).unwrap();
        Self { dir }
    }

    /// A home where the small models are pulled already (once for all tests).
    pub fn with_models() -> Self {
        let home = Self::empty();
        let models = home.home().join("cache").join("models");
        std::fs::create_dir_all(&models).unwrap();
        for name in MODELS {
            let installed = docent_models::testing::installed(name);
            let here = models.join(name);
            for file in files_below(&installed.dir) {
                let to = here.join(file.strip_prefix(&installed.dir).unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::hard_link(&file, &to).or_else(|_| std::fs::copy(&file, &to).map(drop)).unwrap();
            }
        }
        home
    }

    /// What `--home` is.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The folder of documents.
    pub fn docs(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("docs")
    }

    /// Writes a document.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.docs().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `docent ARGS` without a terminal.
    pub fn docent(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran::new(args, output)
    }

    /// The command, for tests that need more than its output.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docent"));
        command.env("DOCENT_HOME", self.home()).env_remove("DOCENT_ISA").args(args).stdin(Stdio::null());
        command.current_dir(self.dir.path());
        command
    }
}

/// What a command did.
pub struct Ran {
    what: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// What came of `docent ARGS`.
    pub fn new(args: &[&str], output: Output) -> Self {
        Self {
            what: args.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "docent {}\n{}\n{}", self.what, self.stdout, self.stderr);
        self
    }

    /// Checks that the messages hold `words`, and nothing like a panic.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "docent {} did not say {words:?}:\n{}", self.what, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Checks that the result holds `words`.
    #[track_caller]
    pub fn prints(self, words: &str) -> Self {
        assert!(
            self.stdout.contains(words),
            "docent {} did not print {words:?}:\n{}",
            self.what,
            self.stdout
        );
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("docent {}: {error}\n{}\n{}", self.what, self.stdout, self.stderr))
    }
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}
