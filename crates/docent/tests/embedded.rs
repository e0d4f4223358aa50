//! docent as a part of another program: what the README's lines and the example promise.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docent::{
    Answer, AskEvent, AskOptions, Error, Library, Narrow, Next, PathGlob, SearchOptions, Settings, Status,
};
use docent_models::testing;

const HOUSE: &str = "The roof was tiled anew in 1998 by the Bakker brothers.\n\n\
    The boiler in the cellar is reset by holding the red button for ten seconds.\n";
const LEASE: &str = "The rent is 840 euros a month.\nNotice must be given three months ahead, in writing.\n";

fn library(folder: &Path) -> Arc<Library> {
    for name in ["all-minilm-l6-v2", "smollm2-135m-instruct"] {
        testing::installed(name);
    }
    let models = Some(testing::store().root().to_owned());
    Arc::new(Library::open(Settings { models, ..Settings::in_folder(folder.join("home")) }))
}

fn added(folder: &Path) -> Arc<Library> {
    let library = library(folder);
    let docs = folder.join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("house.md"), HOUSE).unwrap();
    std::fs::write(docs.join("lease.txt"), LEASE).unwrap();
    let summary = library.add(&[docs], &|| false, &mut |_| ()).unwrap();
    assert_eq!((summary.added, summary.failed), (2, 0));
    library
}

fn options() -> AskOptions {
    AskOptions { temperature: Some(0.0), ..AskOptions::default() }
}

fn cites(answer: &Answer, name: &str) -> bool {
    answer.citations.iter().any(|citation| citation.place.path.ends_with(name))
}

#[test]
fn a_program_adds_searches_and_asks() {
    let folder = tempfile::tempdir().unwrap();
    let library = added(folder.path());
    let found = library.search("when must I give notice", &SearchOptions::default()).unwrap();
    assert!(found.hits[0].hit.chunk.path.ends_with("lease.txt"));

    let mut asking = library.start_asking("How is the boiler reset?", options());
    let mut text = String::new();
    for event in asking.by_ref() {
        if let AskEvent::Answer(piece) = event {
            text.push_str(&piece);
        }
    }
    let answer = asking.answer().unwrap();
    assert_eq!(text.trim(), answer.answer.trim(), "the pieces are the whole");
    assert!(answer.status == Status::Answered && cites(&answer, "house.md"), "{answer:?}");
}

#[test]
fn a_question_waits_for_nobody_and_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let library = added(folder.path());
    let asking = library.start_asking("How is the boiler reset?", options());
    let mut n_events = 0;
    while asking.wait(Duration::from_millis(5)) != Next::Done {
        n_events += 1;
    }
    assert!(n_events > 0);
    drop(asking);
    let stopped = library.start_asking("How high is the rent?", options());
    stopped.cancel();
    assert!(stopped.answer().is_ok(), "what there was until then");
    assert!(cites(&library.start_asking("How high is the rent?", options()).answer().unwrap(), "lease.txt"));
}

#[test]
fn documents_are_those_that_were_added_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let library = added(folder.path());
    let other = folder.path().join("other.md");
    std::fs::write(&other, "The safe has the code 4711.\n").unwrap();
    library.look_into(std::slice::from_ref(&other), &|| false, &mut |_| ()).unwrap();
    let names = |narrow: &Narrow| -> Vec<String> {
        let files = library.documents(narrow).unwrap();
        files.iter().map(|file| file.stat.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(&Narrow::default()), ["house.md", "lease.txt"]);
    let markdown = Narrow { types: vec!["md".to_owned()], ..Narrow::default() };
    assert_eq!(names(&markdown), ["house.md"]);
    let lease = Narrow { paths: vec![PathGlob::new("lease.*").unwrap()], ..Narrow::default() };
    assert_eq!(names(&lease), ["lease.txt"]);
    let later = Narrow { changed_from_ns: Some(i64::MAX), ..Narrow::default() };
    assert!(names(&later).is_empty());
    assert!(library.document(&other).is_ok());
    assert!(matches!(library.added_document(&other), Err(Error::NotIndexed { .. })));
}
