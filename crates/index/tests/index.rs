//! What the index promises its users, through its public interface.

use std::path::{Path, PathBuf};

use docent_index::{
    ChunkId, DocId, EmbeddingSpec, Fate, FileStat, Filter, Index, IndexError, IndexOptions, NewChunk,
    NewDocument, Writer,
};

fn spec() -> EmbeddingSpec {
    EmbeddingSpec { fingerprint: "test-model/1".to_owned(), dim: 3 }
}

fn stat(path: &str) -> FileStat {
    FileStat { path: PathBuf::from(path), size: 1, mtime_ns: 2, inode: u64::MAX }
}

/// A document of one passage a line, with vectors that point where the lines' lengths say.
fn document(path: &str, language: &str, text: &str) -> NewDocument {
    let mut chunks = Vec::new();
    let mut vectors = Vec::new();
    let mut start = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        let line_number = line as u32 + 1;
        chunks.push(NewChunk {
            span: start..start + content.len(),
            line_start: line_number,
            line_end: line_number,
            page: None,
            heading_path: vec!["Chapter".to_owned()],
        });
        start += content.len();
        vectors.push(unit([content.len() as f32, 10.0, line as f32]));
    }
    NewDocument {
        stat: stat(path),
        hash: *blake3_of(text),
        format: "text".to_owned(),
        title: None,
        language: Some(language.to_owned()),
        text: text.to_owned(),
        same_as_file: true,
        pages: Vec::new(),
        chunks,
        vectors,
    }
}

fn unit(v: [f32; 3]) -> Vec<f32> {
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.iter().map(|x| x / norm).collect()
}

/// Not a hash, but different for different texts of these tests.
fn blake3_of(text: &str) -> Box<[u8; 32]> {
    let mut hash = [0u8; 32];
    for (i, byte) in text.bytes().enumerate() {
        hash[i % 32] = hash[i % 32].wrapping_mul(31).wrapping_add(byte);
    }
    Box::new(hash)
}

fn open(dir: &Path) -> Index {
    Index::open(dir, &IndexOptions::default()).unwrap()
}

fn with_documents(dir: &Path, documents: &[NewDocument]) -> (Index, Vec<DocId>) {
    let index = open(dir);
    let mut writer = index.writer(Some(spec())).unwrap();
    let ids = documents.iter().map(|d| writer.put_document(d.clone()).unwrap()).collect();
    writer.commit().unwrap();
    (index, ids)
}

fn paths(index: &Index, query: &str, filter: &Filter) -> Vec<String> {
    let found = index.lexical(query, filter, 10).unwrap();
    found.iter().map(|(id, _)| index.chunk(*id).unwrap().path.display().to_string()).collect()
}

fn everywhere(index: &Index, query: &str) -> Vec<String> {
    paths(index, query, &Filter::default())
}

#[test]
fn a_document_is_found_by_words_and_by_vector_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let text = "The engines of an aircraft.\nBoats sail.\n";
    let (index, ids) = with_documents(dir.path(), &[document("/d/a.txt", "eng", text)]);
    let hits = index.lexical("aircraft engine", &Filter::default(), 10).unwrap();
    assert_eq!(hits.len(), 1);
    let chunk = index.chunk(hits[0].0).unwrap();
    assert_eq!(chunk.text, "The engines of an aircraft.\n");
    assert_eq!((chunk.path.as_path(), chunk.lines, chunk.doc), (Path::new("/d/a.txt"), (1, 1), ids[0]));
    assert_eq!(chunk.heading_path, ["Chapter"]);
    let by_vector = index.vector(&unit([12.0, 10.0, 1.0]), &Filter::default(), 1).unwrap();
    assert_eq!(index.chunk(by_vector[0].0).unwrap().text, "Boats sail.\n");
    assert!((by_vector[0].1 - 1.0).abs() < 1e-6);
    assert_eq!(index.document_text(ids[0]).unwrap(), text);
    assert_eq!(index.file(Path::new("/d/a.txt")).unwrap().unwrap().stat.inode, u64::MAX);
}

#[test]
fn a_long_text_comes_back_exactly_wherever_a_passage_lies() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..30_000).map(|i| format!("zażółć {i}\n")).collect();
    let mut long = document("/long", "pol", "");
    long.chunks = (0..text.len() / 50_000)
        .map(|i| {
            let start = (i * 50_000..).find(|&at| text.is_char_boundary(at)).unwrap();
            let end = (start + 40_000..).find(|&at| text.is_char_boundary(at)).unwrap();
            NewChunk {
                span: start..end,
                line_start: 1,
                line_end: 1,
                page: Some(i as u32),
                heading_path: vec![],
            }
        })
        .collect();
    long.vectors = Vec::new();
    long.pages = vec![0..10, 10..text.len()];
    long.text = text.clone();
    let (index, ids) = with_documents(dir.path(), &[long]);
    let read = index.document(ids[0]).unwrap();
    assert_eq!(read.text, text);
    assert_eq!(read.pages, [0..10, 10..text.len()]);
    let snapshot = index.snapshot().unwrap();
    for (id, span) in snapshot.chunks_of(ids[0]).unwrap() {
        assert_eq!(snapshot.chunk(id).unwrap().text, text[span]);
    }
}

#[test]
fn nothing_is_seen_before_the_commit_and_nothing_remains_of_what_was_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "first words")]);
    let mut writer = index.writer(Some(spec())).unwrap();
    writer.put_document(document("/b", "eng", "second words")).unwrap();
    writer.put_document(document("/a", "eng", "changed words")).unwrap();
    assert_eq!(everywhere(&index, "words"), ["/a"]);
    drop(writer);
    assert_eq!(everywhere(&index, "second changed first"), ["/a"]);
    assert_eq!(index.stats().unwrap().n_vectors, 1);
    assert_eq!(index.stats().unwrap().generation, 1);
}

#[test]
fn a_snapshot_does_not_move_while_a_writer_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (index, ids) = with_documents(dir.path(), &[document("/a", "eng", "old words")]);
    let before = index.snapshot().unwrap();
    let mut writer = index.writer(Some(spec())).unwrap();
    writer.put_document(document("/a", "eng", "new words")).unwrap();
    writer.put_document(document("/b", "eng", "more words")).unwrap();
    writer.commit().unwrap();
    let old = before.lexical("words", &Filter::default(), 10).unwrap();
    assert_eq!(old.len(), 1);
    assert_eq!(before.chunk(old[0].0).unwrap().text, "old words");
    assert_eq!(before.document(ids[0]).unwrap().text, "old words");
    assert_eq!(before.vector(&[1.0, 0.0, 0.0], &Filter::default(), 10).unwrap().len(), 1);
    assert_eq!(everywhere(&index, "words").len(), 2);
}

#[test]
fn a_changed_document_is_found_by_its_new_text_alone_and_keeps_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let (index, ids) = with_documents(dir.path(), &[document("/a", "eng", "zebra\nlion")]);
    let old_chunk = index.lexical("zebra", &Filter::default(), 1).unwrap()[0].0;
    let mut writer = index.writer(Some(spec())).unwrap();
    assert_eq!(writer.put_document(document("/a", "eng", "giraffe")).unwrap(), ids[0]);
    writer.commit().unwrap();
    assert!(everywhere(&index, "zebra lion").is_empty());
    assert_eq!(everywhere(&index, "giraffe"), ["/a"]);
    assert!(matches!(index.chunk(old_chunk), Err(IndexError::NoSuchChunk(_))));
    assert_eq!(index.vector(&[1.0, 0.0, 0.0], &Filter::default(), 10).unwrap().len(), 1);
}

#[test]
fn a_renamed_document_keeps_passages_and_vectors_and_is_found_by_its_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let (index, ids) = with_documents(
        dir.path(),
        &[document("/d/alpha.txt", "eng", "text"), document("/d/omega.txt", "eng", "old")],
    );
    let chunk = index.lexical("text", &Filter::default(), 1).unwrap()[0].0;
    let mut writer = index.writer(Some(spec())).unwrap();
    writer.rename(ids[0], stat("/d/omega.txt")).unwrap();
    writer.commit().unwrap();
    assert_eq!(index.chunk(chunk).unwrap().path, Path::new("/d/omega.txt"));
    assert_eq!(index.lexical("omega", &Filter::default(), 9).unwrap().len(), 1);
    assert!(everywhere(&index, "alpha").is_empty() && everywhere(&index, "old").is_empty());
    assert_eq!(index.stats().unwrap().n_vectors, 1);
    assert_eq!(index.files().unwrap().len(), 1);
}

#[test]
fn a_removed_or_unreadable_file_is_not_found_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let documents =
        [document("/a", "eng", "apple"), document("/b", "eng", "banana"), document("/c", "eng", "cherry")];
    let (index, ids) = with_documents(dir.path(), &documents);
    let mut writer = index.writer(None).unwrap();
    writer.remove(ids[0]).unwrap();
    writer.put_fate(stat("/b"), None, Fate::Failed("broken".to_owned()), "pdf").unwrap();
    writer.commit().unwrap();
    assert_eq!(everywhere(&index, "apple banana cherry"), ["/c"]);
    assert_eq!(index.vector(&[1.0, 0.0, 0.0], &Filter::default(), 10).unwrap().len(), 1);
    let stats = index.stats().unwrap();
    assert_eq!((stats.n_indexed, stats.n_failed, stats.n_chunks), (1, 1, 1));
    assert_eq!(index.file(Path::new("/b")).unwrap().unwrap().fate, Fate::Failed("broken".to_owned()));
}

#[test]
fn filters_apply_before_ranking() {
    let dir = tempfile::tempdir().unwrap();
    let mut documents: Vec<_> =
        (0..50).map(|i| document(&format!("/many/{i}"), "eng", "whale whale whale")).collect();
    documents.push(document("/few/x", "eng", "a whale among other animals of the sea"));
    documents.push(document("/fewer/x", "eng", "whale"));
    let (index, _) = with_documents(dir.path(), &documents);
    let few = Filter { under: vec!["/few".into()], remembered_only: false, ..Filter::default() };
    assert_eq!(paths(&index, "whale", &few), ["/few/x"]);
    let vectors = index.vector(&[1.0, 0.0, 0.0], &few, 1).unwrap();
    assert_eq!(index.chunk(vectors[0].0).unwrap().path, Path::new("/few/x"));

    let remembered = Filter { under: vec![], remembered_only: true, ..Filter::default() };
    assert!(paths(&index, "whale", &remembered).is_empty());
    let mut writer = index.writer(None).unwrap();
    writer.add_root("/fewer", true).unwrap();
    writer.add_root("/few", false).unwrap();
    writer.commit().unwrap();
    assert_eq!(paths(&index, "whale", &remembered), ["/fewer/x"]);
    let both = Filter { under: vec!["/few".into()], remembered_only: true, ..Filter::default() };
    assert!(paths(&index, "whale", &both).is_empty());
    let root = Filter { under: vec!["/".into()], remembered_only: false, ..Filter::default() };
    assert_eq!(index.lexical("whale", &root, 100).unwrap().len(), 52);
    let file = Filter { under: vec!["/many/7".into()], remembered_only: false, ..Filter::default() };
    assert_eq!(paths(&index, "whale", &file), ["/many/7"]);
}

#[test]
fn a_filter_of_a_thousand_paths_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/p/900", "eng", "whale")]);
    let under = (0..20_000).map(|i| PathBuf::from(format!("/p/{i}"))).collect();
    assert_eq!(
        paths(&index, "whale", &Filter { under, remembered_only: false, ..Filter::default() }),
        ["/p/900"]
    );
}

#[test]
fn removing_a_root_leaves_what_another_root_covers() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [document("/r/a", "eng", "one"), document("/r/keep/b", "eng", "two")];
    let (index, _) = with_documents(dir.path(), &documents);
    let mut writer = index.writer(None).unwrap();
    writer.add_root("/r", true).unwrap();
    writer.add_root("/r/keep", true).unwrap();
    assert_eq!(writer.remove_root("/r").unwrap(), 1);
    writer.commit().unwrap();
    assert_eq!(everywhere(&index, "one two"), ["/r/keep/b"]);
    assert_eq!(index.roots().unwrap().len(), 1);
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "apple")]);
    let _writer = index.writer(None).unwrap();
    assert!(matches!(index.writer(None), Err(IndexError::Busy { .. })));
    assert_eq!(everywhere(&index, "apple"), ["/a"]);
}

#[test]
fn an_index_opened_for_reading_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("index");
    let error = Index::open(&missing, &IndexOptions { read_only: true }).unwrap_err();
    assert!(matches!(error, IndexError::Missing { .. }) && !missing.exists());
    let (index, _) = with_documents(&missing, &[document("/a", "eng", "apple")]);
    drop(index);
    let index = Index::open(&missing, &IndexOptions { read_only: true }).unwrap();
    assert_eq!(everywhere(&index, "apple"), ["/a"]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_an_index() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("index");
    let (index, _) = with_documents(&home, &[document("/a", "eng", "apple")]);
    let _snapshot = index.snapshot().unwrap();
    let mut n_files = 0;
    let mut folders = vec![home];
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                n_files += 1;
                assert_eq!(
                    path.metadata().unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(n_files > 5);
}

#[test]
fn japanese_and_chinese_are_found_by_any_part_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [
        document("/ja", "jpn", "東京都の天気は晴れです。"),
        document("/zh", "cmn", "北京的天气很好。猫"),
        document("/ko", "kor", "서울의 날씨는 맑다"),
    ];
    let (index, _) = with_documents(dir.path(), &documents);
    // 天 is a word of its own and stands in both, but 天気 only in one, which is first.
    assert_eq!(everywhere(&index, "天気"), ["/ja", "/zh"]);
    for query in ["天気", "京都の天気"] {
        let best = index.lexical(query, &Filter::default(), 10).unwrap()[0].0;
        assert_eq!(index.chunk(best).unwrap().path, Path::new("/ja"), "{query}");
    }
    assert_eq!(everywhere(&index, "晴"), ["/ja"]);
    assert_eq!(everywhere(&index, "猫"), ["/zh"]);
    assert_eq!(everywhere(&index, "날씨"), ["/ko"]);
    assert_eq!(everywhere(&index, "\"北京的天气\""), ["/zh"]);
    assert!(everywhere(&index, "\"天气北京\"").is_empty());
}

#[test]
fn every_language_is_found_by_its_own_word_forms() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [
        document("/en", "eng", "She was running with the horses."),
        document("/de", "deu", "Die Häuser der Städte werden gebaut."),
        document("/fr", "fra", "L'avion décolle des aéroports."),
    ];
    let (index, _) = with_documents(dir.path(), &documents);
    assert_eq!(everywhere(&index, "run horse"), ["/en"]);
    assert_eq!(everywhere(&index, "Haus Stadt Häusern"), ["/de"]);
    assert_eq!(everywhere(&index, "avion aeroport"), ["/fr"]);
    // A question's own stop words are looked up in no language.
    assert!(everywhere(&index, "the was with").is_empty());
}

#[test]
fn a_phrase_must_occur_when_it_is_the_whole_query() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [
        document("/a", "eng", "red apples and green pears"),
        document("/b", "eng", "green apples, red pears"),
    ];
    let (index, _) = with_documents(dir.path(), &documents);
    assert_eq!(everywhere(&index, "\"green apple\""), ["/b"]);
    assert_eq!(everywhere(&index, "“red apples”"), ["/a"]);
    assert_eq!(everywhere(&index, "pears \"green apple\""), ["/b", "/a"]);
    assert_eq!(everywhere(&index, "apples \"green").len(), 2);
}

#[test]
fn identifiers_are_found_by_their_parts() {
    let dir = tempfile::tempdir().unwrap();
    let documents = [
        document("/a.py", "eng", "def parse_http_header(x):"),
        document("/b.java", "eng", "readConfigFile();"),
    ];
    let (index, _) = with_documents(dir.path(), &documents);
    for query in ["parseHttpHeader", "parse_http_header", "http header", "\"http header\""] {
        assert_eq!(everywhere(&index, query), ["/a.py"], "{query}");
    }
    assert_eq!(everywhere(&index, "config file"), ["/b.java"]);
}

#[test]
fn any_query_gets_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "apple 🍎 pie 日本")]);
    let huge = ["(", "\"", "a ", "日", "'", "_", "AND OR NOT ", "\u{301}", "é"].map(|s| s.repeat(100_000));
    let nasty = [
        "",
        " ",
        "\0",
        "\"",
        "\"\"",
        "the of and",
        "🍎",
        "apple\0pie",
        "*:*",
        "body:apple",
        "+-!(){}[]^~?\\/",
        "\"a",
    ];
    for query in nasty.into_iter().chain(huge.iter().map(String::as_str)) {
        index.lexical(query, &Filter::default(), 10).unwrap();
    }
    assert_eq!(everywhere(&index, "apple\0pie").len(), 1);
}

#[test]
fn vectors_of_another_model_are_replaced_and_never_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "one\ntwo\n")]);
    let other = EmbeddingSpec { fingerprint: "other".to_owned(), dim: 2 };
    let mut writer = index.writer(Some(other.clone())).unwrap();
    let missing = writer.chunks_without_vectors(ChunkId(0), 100).unwrap();
    assert_eq!(missing.len(), 2);
    assert_eq!(index.embedding().unwrap(), Some(spec()));
    writer.put_vectors(&[(missing[1], vec![0.0, 1.0])]).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.chunks_without_vectors(ChunkId(0), 100).unwrap(), [missing[0]]);
    assert_eq!(index.embedding().unwrap(), Some(other));
    assert_eq!(index.vector(&[0.0, 1.0], &Filter::default(), 9).unwrap(), [(missing[1], 1.0)]);
    assert!(matches!(index.vector(&[0.0; 3], &Filter::default(), 9), Err(IndexError::Dimension { .. })));
}

#[test]
fn documents_that_contradict_themselves_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "apple")]);
    let mut writer = index.writer(Some(spec())).unwrap();
    let mut outside = document("/a", "eng", "pear");
    outside.chunks[0].span = 0..99;
    let mut inside_character = document("/a", "eng", "é");
    inside_character.chunks[0].span = 0..1;
    let mut short_vector = document("/a", "eng", "pear");
    short_vector.vectors[0].pop();
    let mut not_a_number = document("/a", "eng", "pear");
    not_a_number.vectors[0][0] = f32::NAN;
    let mut too_many = document("/a", "eng", "pear");
    too_many.vectors.push(vec![0.0; 3]);
    for bad in [outside, inside_character, short_vector, not_a_number, too_many] {
        writer.put_document(bad).unwrap_err();
    }
    writer.commit().unwrap();
    assert_eq!(everywhere(&index, "apple pear"), ["/a"]);
    assert_eq!(index.stats().unwrap().generation, 1);
}

#[test]
fn deleted_passages_give_their_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut writer = index.writer(Some(spec())).unwrap();
    let text: String = (0..100).map(|i| format!("some words of line {i}\n")).collect();
    let ids: Vec<DocId> =
        (0..40).map(|i| writer.put_document(document(&format!("/{i}"), "eng", &text)).unwrap()).collect();
    writer.commit().unwrap();
    let before = index.stats().unwrap();
    for id in &ids[..30] {
        writer.remove(*id).unwrap();
    }
    writer.commit().unwrap();
    let after = index.stats().unwrap();
    assert_eq!((after.n_vectors, after.n_dead_vectors), (1000, 0));
    assert!(after.n_bytes_vectors < before.n_bytes_vectors / 3, "{after:?}");
    assert!(after.n_bytes_postings < before.n_bytes_postings / 2, "{before:?} {after:?}");
    let found = index.vector(&unit([22.0, 10.0, 50.0]), &Filter::default(), 1000).unwrap();
    assert_eq!(found.len(), 1000);
    let chunk = index.chunk(found[0].0).unwrap();
    assert!(ids[30..].contains(&chunk.doc) && chunk.text.contains("line 50"), "{}", chunk.text);
}

#[test]
fn an_update_without_changes_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (index, _) = with_documents(dir.path(), &[document("/a", "eng", "apple")]);
    let mut writer = index.writer(Some(spec())).unwrap();
    assert_eq!(writer.files(&Filter::default()).unwrap().len(), 1);
    assert_eq!(writer.commit().unwrap(), 1);
    assert_eq!(index.stats().unwrap().generation, 1);
}

#[test]
fn many_commits_leave_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut writer: Writer = index.writer(Some(spec())).unwrap();
    for i in 0..60 {
        writer.put_document(document(&format!("/{}", i % 20), "eng", &format!("words {i}"))).unwrap();
        writer.commit().unwrap();
        assert_eq!(index.lexical("words", &Filter::default(), 100).unwrap().len(), (i + 1).min(20));
    }
    let n_files = std::fs::read_dir(dir.path().join("postings")).unwrap().count();
    assert!(n_files < 100, "{n_files} files");
}

#[test]
#[cfg(unix)] // elsewhere a folder in use cannot be removed
fn a_writer_whose_index_was_replaced_leaves_the_new_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let index = |word: &str| {
        let index = Index::open(dir.path(), &IndexOptions::default()).unwrap();
        let mut writer = index.writer(Some(spec())).unwrap();
        writer.add_root("/d", true).unwrap();
        writer.put_document(document("/d/a.txt", "en", &format!("{word} one\n{word} two\n"))).unwrap();
        (index, writer)
    };
    let (_old_index, mut old) = index("old");
    assert!(Index::writer_of(dir.path()).is_some());
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        match entry.path().is_dir() {
            true => std::fs::remove_dir_all(entry.path()).unwrap(),
            false => std::fs::remove_file(entry.path()).unwrap(),
        }
    }
    assert_eq!(Index::writer_of(dir.path()), None);
    let (new_index, mut new) = index("new");
    new.commit().unwrap();
    drop(new);
    assert!(matches!(old.commit(), Err(IndexError::Replaced { .. })));
    drop(old);
    let filter = Filter { under: vec!["/d".into()], ..Filter::default() };
    assert_eq!(new_index.lexical("new", &filter, 5).unwrap().len(), 2);
    assert!(new_index.check().unwrap().is_empty());
}
