//! A child process that crashes, hangs, babbles or lies costs its file and nothing else.
//!
//! No test harness: this program is its own child. Called with a role, it plays that role; without, it runs the tests.

mod made;

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use docent_extract::{Document, ExtractError, Limits, Worker, extract, run_worker};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("--serve") => run_worker(std::io::stdin().lock(), std::io::stdout()).unwrap(),
        Some("--crash") => {
            let _ = std::io::stdin().read(&mut [0u8; 64]);
            std::process::abort();
        }
        Some("--hang") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Some("--babble") => {
            let _ = std::io::stdout().write_all(b"some library says hello to stdout\n");
            std::thread::sleep(Duration::from_secs(30));
        }
        Some("--lie") => {
            let reply = br#"{"Ok":{"text":"ab","format":"pdf","title":null,"blocks":[{"span":{"start":0,"end":9},"kind":"Paragraph"}],"pages":[],"same_as_file":false}}"#;
            let mut frame = b"dxw1".to_vec();
            frame.extend((reply.len() as u64).to_le_bytes());
            frame.extend(reply);
            let _ = std::io::stdout().write_all(&frame);
            let _ = std::io::stdout().flush();
            std::thread::sleep(Duration::from_secs(30));
        }
        Some("--eat") => {
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            loop {
                eaten.push(vec![1; 16 << 20]);
            }
        }
        // Flags of the test runner (`--quiet`, a filter) mean nothing here.
        _ => {
            one_child_serves_many_files();
            a_child_that_dies_costs_its_file();
            a_child_that_hangs_is_stopped();
            a_program_that_is_not_there_is_no_reason_to_fail();
            println!("worker: all promises kept");
        }
    }
    ExitCode::SUCCESS
}

fn limits(role: &str, timeout: Duration) -> Limits {
    let program = std::env::current_exe().unwrap();
    Limits {
        timeout,
        worker: Some(Arc::new(Worker::new(program, vec![role.into()], 1 << 30))),
        ..Limits::default()
    }
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    extract(Path::new("x.pdf"), bytes, limits)
}

fn one_child_serves_many_files() {
    let limits = limits("--serve", Duration::from_secs(60));
    for i in 0..300 {
        let text = format!("page number {i} of many");
        assert_eq!(read(&made::pdf(&[&text]), &limits).unwrap().text, text);
    }
    assert!(read(&made::pdf(&[""]), &limits).unwrap_err().reason().starts_with("no text: 1 page"));
    // Several threads at once, as ingestion does it.
    std::thread::scope(|scope| {
        for i in 0..4 {
            let limits = &limits;
            scope.spawn(move || {
                let text = format!("thread {i} reads");
                for _ in 0..10 {
                    assert_eq!(read(&made::pdf(&[&text]), limits).unwrap().text, text);
                }
            });
        }
    });
}

fn a_child_that_dies_costs_its_file() {
    let roles = if cfg!(unix) {
        &["--crash", "--babble", "--lie", "--eat"][..]
    } else {
        &["--crash", "--babble", "--lie"]
    };
    for role in roles {
        let limits = limits(role, Duration::from_secs(60));
        for _ in 0..2 {
            let error = read(&made::pdf(&["x"]), &limits).unwrap_err();
            assert!(
                matches!(&error, ExtractError::Failed { reason } if reason.contains("crashed")),
                "{role}: {error}"
            );
        }
    }
}

fn a_child_that_hangs_is_stopped() {
    let error = read(&made::pdf(&["x"]), &limits("--hang", Duration::from_millis(300))).unwrap_err();
    assert!(error.reason().contains("stopped after"), "{error}");
}

fn a_program_that_is_not_there_is_no_reason_to_fail() {
    let worker = Worker::new("/no/such/program".into(), Vec::new(), 1 << 30);
    let limits = Limits { worker: Some(Arc::new(worker)), ..Limits::default() };
    assert_eq!(read(&made::pdf(&["words"]), &limits).unwrap().text, "words", "read on a thread instead");
}
