//! What was read once is not read again: by the next question, in the next process, and never wrongly.

mod support;

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Home, Ran, repository, shelves, tiny};

fn blocks_below(home: &Home) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(folders) = std::fs::read_dir(home.home().join("cache/prefix")) else { return found };
    for folder in folders.flatten().filter(|entry| entry.path().is_dir()) {
        let files = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
        found.extend(files.filter(|path| path.file_name().is_some_and(|name| name.len() == 65)));
    }
    found.sort();
    found
}

/// A home with three documents and the question that is asked of them.
fn home() -> Home {
    let home = Home::with_models();
    home.write("books.txt", shelves("book", 20));
    home.write("jars.txt", shelves("jar", 16));
    home.write("tools.txt", shelves("tool", 12));
    home
}

fn ask(home: &Home, question: &str, more: &[&str]) -> Ran {
    let (model, docs) = (tiny(), home.docs().display().to_string());
    let mut args =
        vec!["ask", "--in", &docs, "-m", &model, "--style", "write", "--json", "--max-tokens", "4"];
    args.extend(["--temperature", "0"]);
    args.extend(more);
    args.push(question);
    home.docent(&args)
}

/// (cached, prompt) tokens.
fn usage(answer: &Value) -> (u64, u64) {
    let count = |key: &str| answer["usage"][key].as_u64().unwrap();
    (count("cached_tokens"), count("prompt_tokens"))
}

fn warm(home: &Home) -> Ran {
    let (model, docs) = (tiny(), home.docs().display().to_string());
    home.docent(&["warm", "--in", &docs, "-m", &model, "--json"])
}

#[test]
fn the_next_process_takes_logits_from_the_store_and_they_are_the_same_bits() {
    let home = Home::empty();
    let data = |name: &str| repository().join("crates/lm/tests/data").join(name).display().to_string();
    let (model, tokens) = (data("nano-f32.gguf"), data("nano-f32.tokens.txt"));
    let logits = |out: &str, more: &[&str]| {
        let out = home.docs().join(out).display().to_string();
        let mut args = vec!["debug", "logits", "-m", &model, "--tokens", &tokens, "--out", &out];
        args.extend(more);
        let ran = home.docent(&args).exits(0);
        (std::fs::read(&out).unwrap(), ran.stderr)
    };
    logits("all.npy", &[]);
    assert!(blocks_below(&home).is_empty(), "without --last the store is not touched");
    let (off, told) = logits("off.npy", &["--last", "--no-cache"]);
    assert!(told.contains("cached=0 prefilled=600"), "{told}");
    assert!(blocks_below(&home).is_empty(), "nor with --no-cache");
    let (cold, told) = logits("cold.npy", &["--last"]);
    assert!(told.contains("cached=0 prefilled=600"), "{told}");
    assert_eq!(blocks_below(&home).len(), 3);
    let (warm, told) = logits("warm.npy", &["--last"]);
    assert!(told.contains("cached=599 prefilled=1"), "{told}");
    let (not_asked, told) = logits("no.npy", &["--last", "--no-cache"]);
    assert!(told.contains("cached=0 prefilled=600"), "{told}");
    assert!(warm == cold && off == cold && not_asked == cold);
    // Another KV type, other bits, another store.
    let (_, told) = logits("f32.npy", &["--last", "--kv", "f32"]);
    assert!(told.contains("cached=0 prefilled=600"), "{told}");
}

#[test]
fn a_second_question_reads_its_documents_from_the_store_and_answers_as_a_cold_one() {
    let home = home();
    let first = ask(&home, "Where is book number 3?", &[]).exits(1);
    assert!(first.stderr.contains("0 of"), "{}", first.stderr);
    assert_eq!(usage(&first.json()).0, 0);
    let second = ask(&home, "Where is jar number 5?", &[]);
    assert!(second.stderr.contains("tokens cached"), "{}", second.stderr);
    let (cached, prompt) = usage(&second.json());
    assert!(cached * 10 > prompt * 9, "{cached} of {prompt}");
    let cold = ask(&home, "Where is jar number 5?", &["--no-cache"]).json();
    assert_eq!(usage(&cold), (0, prompt));
    assert_eq!(cold["answer"], second.json()["answer"]);
    assert!(home.docent(&["cache", "verify"]).exits(0).stdout.contains("0 damaged"));
}

#[test]
fn a_warmed_folder_need_not_be_read() {
    let home = home();
    let warmed = warm(&home).exits(0).json();
    assert_eq!((warmed["documents"].as_u64(), warmed["cached_tokens"].as_u64()), (Some(3), Some(0)));
    let n_tokens = warmed["tokens"].as_u64().unwrap();
    let again = warm(&home).exits(0).json();
    assert_eq!(again["prefilled_tokens"], 1, "the last one is always computed");
    let (cached, _) = usage(&ask(&home, "Where is tool number 7?", &["--order", "canonical"]).json());
    assert_eq!(cached, n_tokens);
    let status = home.docent(&["cache", "status", "--json"]).exits(0).json();
    assert_eq!(status["models"][0]["documents"], 3);
    assert!(status["models"][0]["tokens"].as_u64().unwrap() >= n_tokens);
    home.docent(&["warm", "--in", home.docs().to_str().unwrap(), "-m", &tiny(), "--budget", "50"])
        .exits(2)
        .says("--budget");
    home.docent(&["warm", "--no-cache"]).exits(2).says("--no-cache");
}

#[test]
fn what_is_kept_of_a_document_goes_with_it() {
    let home = home();
    let (docs, jars) = (home.docs().display().to_string(), home.docs().join("jars.txt"));
    let documents = |home: &Home| {
        home.docent(&["cache", "status", "--json"]).json()["models"][0]["documents"].as_u64().unwrap_or(0)
    };
    // Removed by name: the books before it stay.
    warm(&home).exits(0);
    assert_eq!(documents(&home), 3);
    home.docent(&["cache", "purge", "--document", jars.to_str().unwrap()]).exits(0).prints("blocks removed");
    assert_eq!(documents(&home), 1);
    // Changed, and vanished.
    for change in [true, false] {
        warm(&home).exits(0);
        let n_before = documents(&home);
        match change {
            true => drop(home.write("jars.txt", "One jar is left, on shelf 4.\n")),
            false => std::fs::remove_file(&jars).unwrap(),
        }
        home.docent(&["search", "--in", &docs, "shelf"]).exits(0);
        assert!(documents(&home) < n_before, "{change}");
    }
    // Forgotten.
    home.docent(&["add", &docs]).exits(0);
    warm(&home).exits(0);
    assert!(documents(&home) > 0);
    home.docent(&["rm", &docs]).exits(0);
    assert_eq!(documents(&home), 0);
    // And everything.
    home.docent(&["cache", "purge"]).exits(2);
    home.docent(&["cache", "purge", "--all"]).exits(0);
    assert!(blocks_below(&home).is_empty());
}

#[test]
fn damage_and_a_store_that_cannot_be_written_are_misses_and_the_answer_is_the_same() {
    let home = home();
    let question = "Where is book number 3?";
    let cold = ask(&home, question, &["--order", "canonical"]).json();
    let blocks = blocks_below(&home);
    assert!(blocks.len() > 4, "{blocks:?}");
    for (idx, block) in blocks.iter().enumerate() {
        let mut bytes = std::fs::read(block).unwrap();
        let at = bytes.len() - 1 - idx * 997 % 4000;
        match idx % 3 {
            0 => bytes[at] ^= 1,
            1 => bytes.truncate(at),
            _ => {
                let end = bytes.len();
                bytes[end - 4096..].fill(0);
            }
        }
        std::fs::write(block, bytes).unwrap();
    }
    let damaged = ask(&home, question, &["--order", "canonical"]).json();
    assert_eq!((usage(&damaged).0, &damaged["answer"]), (0, &cold["answer"]));
    let told = home.docent(&["cache", "verify"]).exits(1);
    assert!(told.stdout.contains("missed"), "{}", told.stdout);
    home.docent(&["cache", "verify"]).exits(0);
    let mended = ask(&home, question, &["--order", "canonical"]).json();
    assert!(usage(&mended).0 > 0);
    assert_eq!(mended["answer"], cold["answer"]);

    // A file where the folder should be.
    let store = home.home().join("cache/prefix");
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::write(&store, "in the way").unwrap();
    let blocked = ask(&home, question, &["--order", "canonical"]).json();
    assert_eq!((usage(&blocked).0, &blocked["answer"]), (0, &cold["answer"]));
}

fn start(home: &Home, args: &[&str]) -> Child {
    home.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn processes_that_ask_and_warm_together_and_are_killed_leave_nothing_wrong_behind() {
    let home = home();
    let (model, docs) = (tiny(), home.docs().display().to_string());
    let questions = ["Where is book number 3?", "Where is jar number 9?"];
    home.docent(&["search", "--in", &docs, "book"]).exits(0);
    // Some fixed sequence of waits, from at once to long enough to be done.
    let mut wait = 7_u64;
    for round in 0..50 {
        let common = ["-m", &model, "--in", &docs];
        let warm = start(&home, &[&["warm"][..], &common].concat());
        let orders = ["canonical", "sticky"];
        let asking = questions.map(|question| {
            let order = orders[round % 2];
            let ask = ["ask", "--style", "write", "--max-tokens", "4", "--order", order, question];
            start(&home, &[&ask[..], &common].concat())
        });
        wait = wait * 1_103_515_245 % 2_147_483_647;
        std::thread::sleep(Duration::from_millis(wait % 260));
        for child in asking.into_iter().chain([warm]) {
            let mut child = child;
            let _ = child.kill();
            child.wait().unwrap();
        }
        // Now and then all of it goes, so that the next ones start from nothing.
        if round % 10 == 9 {
            home.docent(&["cache", "verify"]).exits(0);
            home.docent(&["cache", "purge", "--all"]).exits(0);
        }
    }
    for question in questions {
        let warm = ask(&home, question, &["--order", "canonical"]).json();
        let cold = ask(&home, question, &["--order", "canonical", "--no-cache"]).json();
        assert_eq!(warm["answer"], cold["answer"]);
        assert_eq!(usage(&warm).1, usage(&cold).1);
    }
    home.docent(&["cache", "verify"]).exits(0).prints("0 damaged");
}

#[test]
fn warming_that_is_killed_goes_on_where_it_was() {
    let home = home();
    // Long enough to be caught in the middle.
    let text: String = (0..120).map(|i| format!("Box {i} holds {} candles.\n", i * 31 % 17)).collect();
    home.write("boxes.txt", text);
    let (model, docs) = (tiny(), home.docs().display().to_string());
    home.docent(&["search", "--in", &docs, "book"]).exits(0);
    let mut n_cached = Vec::new();
    for milliseconds in [80, 160, 240, 320] {
        let mut child = start(&home, &["warm", "--in", &docs, "-m", &model]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
        n_cached.push(blocks_below(&home).len());
    }
    assert!(n_cached.is_sorted(), "{n_cached:?}: what was done stays done");
    let n_blocks = blocks_below(&home).len();
    let last = warm(&home).exits(0).json();
    let least = n_blocks.saturating_sub(1) as u64 * 256;
    assert!(
        last["cached_tokens"].as_u64().unwrap() >= least.min(last["tokens"].as_u64().unwrap() - 1),
        "{last}"
    );
    let question = "Which box holds 3 candles?";
    let warm = ask(&home, question, &["--order", "canonical"]).json();
    assert!(usage(&warm).0 > 1_000);
    assert_eq!(
        warm["answer"],
        ask(&home, question, &["--order", "canonical", "--no-cache"]).json()["answer"]
    );
    home.docent(&["cache", "verify"]).exits(0);
}

/// Copies the store of one home to another.
fn copy_store(from: &Home, to: &Home) {
    let [from, to] = [from, to].map(|home| home.home().join("cache/prefix"));
    let _ = std::fs::remove_dir_all(&to);
    for folder in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let to = to.join(folder.file_name());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn wherever_warming_is_killed_the_logits_behind_what_it_left_are_the_same_bits() {
    let home = home();
    let docs = home.docs().display().to_string();
    home.docent(&["search", "--in", &docs, "book"]).exits(0);
    for model in ["tiny-q4_k_m.gguf", "nano-f32.gguf"] {
        let model = repository().join("crates/lm/tests/data").join(model).display().to_string();
        let read = home.docent(&["debug", "warm", "--in", &docs, "-m", &model]).exits(0).stdout;
        // Looked at elsewhere, so that looking adds nothing to what warming left.
        let other = Home::empty();
        let tokens = other.write("tokens.txt", format!("{read} 7 8 9 10")).display().to_string();
        let out = other.docs().join("logits.npy").display().to_string();
        let logits = |more: &[&str]| {
            let args = ["debug", "logits", "--last", "-m", &model, "--tokens", &tokens, "--out", &out];
            let told = other.docent(&[&args[..], more].concat()).exits(0).stderr;
            (std::fs::read(&out).unwrap(), told)
        };
        let (cold, _) = logits(&["--no-cache"]);
        for milliseconds in [60, 110, 150, 190, 230] {
            let mut child = start(&home, &["warm", "--in", &docs, "-m", &model]);
            std::thread::sleep(Duration::from_millis(milliseconds));
            let _ = child.kill();
            child.wait().unwrap();
            if blocks_below(&home).is_empty() {
                continue;
            }
            copy_store(&home, &other);
            let (warm, told) = logits(&[]);
            assert!(warm == cold, "killed after {milliseconds} ms: {told}");
        }
        home.docent(&["warm", "--in", &docs, "-m", &model]).exits(0);
        copy_store(&home, &other);
        let (warm, told) = logits(&[]);
        let n_read = read.split_whitespace().count();
        assert!(warm == cold && told.contains(&format!("cached={n_read} prefilled=4")), "{told}");
        home.docent(&["cache", "purge", "--all"]).exits(0);
    }
}
