//! Keeping an index right: filters, collections, watching, waiting, checking, killing.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Home, repository};

fn home() -> Home {
    let home = Home::with_models();
    home.write("house/roof.md", "# Roof\n\nThe roof was tiled anew in 1998 by the Bakker brothers.\n");
    home.write("house/cellar.txt", "The boiler below the roof beams is reset by holding the red button.\n");
    home.write("boat/mast.md", "# Mast\n\nThe roof of the cabin leaks where the mast stands.\n");
    home
}

fn add(home: &Home) {
    home.docent(&["add", home.docs().to_str().unwrap()]).exits(0);
}

fn paths(home: &Home, args: &[&str]) -> Vec<String> {
    let mut all = vec!["search", "--json"];
    all.extend(args);
    let found = home.docent(&all);
    let docs = format!("{}/", home.docs().display());
    let found = found.json();
    let path = |hit: &serde_json::Value| hit["path"].as_str().unwrap().replace(&docs, "");
    let mut paths: Vec<String> = found["hits"].as_array().unwrap().iter().map(path).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn filters_apply_before_ranking() {
    let home = home();
    let old = std::fs::File::options().append(true).open(home.docs().join("house/roof.md")).unwrap();
    let year_2000 = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(951_868_800);
    old.set_modified(year_2000).unwrap();
    add(&home);
    let all = ["boat/mast.md", "house/cellar.txt", "house/roof.md"];
    assert_eq!(paths(&home, &["roof"]), all);
    // One hit is asked for: were the filter applied afterwards, the best one might be none of these.
    for path in all {
        assert_eq!(paths(&home, &["-n", "1", "--path", path, "roof"]), [path]);
    }
    assert_eq!(paths(&home, &["--path", "house", "roof"]), all[1..]);
    assert_eq!(paths(&home, &["--path", "*.txt", "--path", "boat/**", "roof"]), all[..2]);
    assert_eq!(paths(&home, &["--type", "txt", "roof"]), ["house/cellar.txt"]);
    assert_eq!(paths(&home, &["--type", "markdown,pdf", "roof"]), ["boat/mast.md", "house/roof.md"]);
    assert_eq!(paths(&home, &["--before", "2001", "roof"]), ["house/roof.md"]);
    assert_eq!(paths(&home, &["--after", "2001-01-01", "--type", "md", "roof"]), ["boat/mast.md"]);
    home.docent(&["search", "--after", "tomorrow", "roof"]).exits(2).says("no date");
    home.docent(&["search", "--path", "a[", "roof"]).exits(2).says("no pattern for paths");
    let asked = home.docent(&[
        "ask",
        "--json",
        "--yes",
        "--style",
        "quote",
        "--path",
        "boat",
        "Where does the roof leak?",
    ]);
    let cited = asked.json()["citations"]
        .as_array()
        .unwrap()
        .iter()
        .all(|citation| citation["path"].as_str().unwrap().ends_with("mast.md"));
    assert!(cited, "{}", asked.stdout);
}

#[test]
fn a_collection_has_its_own_folders_and_settings() {
    let home = home();
    let (house, boat) = (home.docs().join("house"), home.docs().join("boat"));
    home.write("boat/.log.txt", "The logbook of the boat says the roof leaks.\n");
    home.docent(&["add", house.to_str().unwrap()]).exits(0);
    home.docent(&["add", "--collection", "sea", "--hidden", boat.to_str().unwrap()])
        .exits(0)
        .prints("2 added");
    assert_eq!(paths(&home, &["roof"]), ["house/cellar.txt", "house/roof.md"]);
    assert_eq!(paths(&home, &["--collection", "sea", "roof"]), ["boat/.log.txt", "boat/mast.md"]);
    // How the root is read was remembered.
    home.docent(&["update", "--collection", "sea"]).exits(0).prints("2 unchanged");
    let listed = home.docent(&["collections", "--json"]).exits(0).json();
    let names: Vec<_> = listed["collections"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, [serde_json::Value::Null, "sea".into()]);
    assert_eq!(listed["collections"][1]["roots"][0]["hidden"], true);
    assert_eq!(listed["collections"][1]["embedding_model"], "all-minilm-l6-v2");
    home.docent(&["ls", "--collection", "../x"]).exits(2).says("collection's name");
    home.docent(&["add", "--embedding", "smollm2-135m-instruct", house.to_str().unwrap()])
        .exits(2)
        .says("does not turn text into vectors");
}

#[test]
fn doctor_finds_what_is_wrong_with_an_index_and_mends_it() {
    let home = home();
    add(&home);
    home.docent(&["doctor", "--index"]).exits(0).prints("nothing wrong");
    // A file whose content changed behind its time's back, one that is gone, one that is new.
    let cellar = home.docs().join("house/cellar.txt");
    let time = cellar.metadata().unwrap().modified().unwrap();
    let inverted = std::fs::read_to_string(&cellar).unwrap().replace("red button", "RED BUTTON");
    std::fs::write(&cellar, inverted).unwrap();
    std::fs::File::options().append(true).open(&cellar).unwrap().set_modified(time).unwrap();
    std::fs::remove_file(home.docs().join("house/roof.md")).unwrap();
    home.write("new.txt", "The spare key hangs behind the clock.\n");
    // And both other stores damaged.
    for folder in ["postings", "vectors"] {
        for entry in std::fs::read_dir(home.home().join("data/index").join(folder)).unwrap().flatten() {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle).take(40).for_each(|byte| *byte ^= 0x5a);
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
    let looked = home.docent(&["doctor", "--index", "--dry-run", "--json"]).exits(1).json();
    assert!(looked["left"].as_array().unwrap().len() >= 2 && looked["update"].is_null(), "{looked}");
    let mended = home.docent(&["doctor", "--index", "--json"]).exits(1).json();
    let stores: Vec<_> = mended["faults"].as_array().unwrap().iter().map(|f| f["store"].clone()).collect();
    for store in ["postings", "vectors", "files"] {
        assert!(stores.contains(&store.into()), "{mended}");
    }
    assert_eq!(stores.iter().filter(|store| **store == "files").count(), 3, "{mended}");
    assert_eq!(mended["left"], serde_json::json!([]), "{mended}");
    home.docent(&["doctor", "--index"])
        .exits(0)
        .prints("3 documents, 3 passages, 3 files compared: nothing wrong");
    assert_eq!(paths(&home, &["-n", "1", "spare key clock"]), ["new.txt"]);
    home.docent(&["show", cellar.to_str().unwrap()]).exits(0).prints("RED BUTTON");
}

#[test]
fn a_failed_file_is_listed_and_read_again_when_asked_for() {
    let home = home();
    home.write("torn.pdf", b"%PDF-1.7\nnothing that a reader could use\n");
    home.docent(&["add", home.docs().to_str().unwrap()]).exits(3);
    let failed = home.docent(&["status", "--failed", "--json"]).exits(0).json();
    let line = &failed["not_indexed"][0];
    assert!(line["path"].as_str().unwrap().ends_with("torn.pdf") && line["fate"] == "failed", "{failed}");
    assert!(line["bytes"].as_u64().unwrap() > 20 && line["indexed_at"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(home.docent(&["update", "--json"]).exits(3).json()["read"], 0);
    assert_eq!(home.docent(&["update", "--retry-failed", "--json"]).exits(3).json()["read"], 1);
}

/// A process whose lines are read as they come.
struct Running {
    process: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        Self { process, lines }
    }

    /// The next line as JSON; a minute is longer than any machine takes.
    fn next(&self) -> serde_json::Value {
        serde_json::from_str(&self.lines.recv_timeout(Duration::from_secs(60)).expect("a line")).unwrap()
    }

    fn interrupt(mut self) -> Option<i32> {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process.kill().unwrap();
        None
    }
}

#[cfg(unix)]
#[test]
fn watch_takes_in_changes_while_others_search_and_ends_with_ctrl_c() {
    let home = home();
    add(&home);
    let watch = Running::start(home.command(&["watch", "--json", "--quiet-for", "0.2"]));
    assert_eq!(watch.next()["unchanged"], 3);
    home.write("house/attic.md", "A trunk full of zithers stands in the attic.\n");
    assert_eq!(watch.next()["added"], 1);
    assert_eq!(paths(&home, &["--mode", "lexical", "zithers"]), ["house/attic.md"]);
    std::fs::rename(home.docs().join("house/attic.md"), home.docs().join("boat/hold.md")).unwrap();
    let renamed = watch.next();
    assert_eq!((&renamed["renamed"], &renamed["embedded_passages"]), (&1.into(), &0.into()));
    // It does not hold the right to write while it waits.
    home.docent(&["update"]).exits(0).prints("4 unchanged");
    std::fs::remove_file(home.docs().join("boat/hold.md")).unwrap();
    assert_eq!(watch.next()["removed"], 1);
    assert_eq!(watch.interrupt(), Some(0));
    home.docent(&["doctor", "--index"]).exits(0);
}

#[test]
fn a_second_writer_waits_and_says_for_whom_while_readers_go_on() {
    let home = home();
    add(&home);
    let lock =
        std::fs::File::options().read(true).write(true).open(home.home().join("data/index/lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(home.home().join("data/index/lock"), "`docent update` (process 4711)\n").unwrap();
    home.write("new.txt", "The spare key hangs behind the clock.\n");
    let mut waiting =
        home.command(&["update"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut messages = BufReader::new(waiting.stderr.take().unwrap());
    messages.read_line(&mut said).unwrap();
    assert!(said.contains("waiting for `docent update` (process 4711)"), "{said}");
    assert_eq!(paths(&home, &["--path", "boat", "roof"]), ["boat/mast.md"]);
    // Nothing to index there: no need to wait.
    let boat = home.docs().join("boat");
    assert_eq!(paths(&home, &["--in", boat.to_str().unwrap(), "roof"]), ["boat/mast.md"]);
    assert!(waiting.try_wait().unwrap().is_none());
    lock.unlock().unwrap();
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert_eq!(paths(&home, &["--path", "new.txt", "key"]), ["new.txt"]);
}

#[cfg(unix)]
#[test]
fn an_ingestion_killed_at_random_instants_ends_as_if_it_never_had_been() {
    let models = docent_models::testing::installed("all-minilm-l6-v2").dir;
    let done = Command::new("python3")
        .arg(repository().join("tests/kill_ingest.py"))
        .args(["--kills", "6", "--files", "40", "--docent", env!("CARGO_BIN_EXE_docent"), "--models"])
        .arg(models.parent().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    assert!(
        told.contains("6 kills") && told.contains(" 0 faults") && told.contains(" 0 differences"),
        "{told}"
    );
}
