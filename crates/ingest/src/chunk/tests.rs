//! What passages promise, on hand-made and on random documents.

use docent_extract::{About, Block, Format, Row};
use proptest::prelude::*;

use super::*;

use super::approximate_tokens as count;

fn document(parts: &[(BlockKind, &str)]) -> Document {
    let mut text = String::new();
    let mut blocks = Vec::new();
    for (kind, words) in parts {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if let BlockKind::Heading { level } = kind {
            text.push_str(&"#".repeat(usize::from(*level)));
            text.push(' ');
        }
        let start = text.len();
        text.push_str(words);
        blocks.push(Block { span: start..text.len(), kind: kind.clone() });
    }
    Document {
        text,
        format: Format::Markdown,
        title: None,
        blocks,
        pages: Vec::new(),
        rows: Vec::new(),
        same_as_file: true,
        about: About::default(),
        warnings: Vec::new(),
    }
}

const P: BlockKind = BlockKind::Paragraph;

fn h(level: u8) -> BlockKind {
    BlockKind::Heading { level }
}

fn code() -> BlockKind {
    BlockKind::Code { language: None }
}

fn words(n: usize, word: &str) -> String {
    let sentence = format!("{} end. ", [word; 9].join(" ")); // 11 tokens
    sentence.repeat(n.div_ceil(11)).trim_end().to_owned()
}

fn cut(document: &Document) -> Vec<(String, Chunk)> {
    let chunks = chunk(document, &ChunkOptions::default(), &count);
    check(document, &ChunkOptions::default(), &chunks);
    chunks.into_iter().map(|c| (document.text[c.span.clone()].to_owned(), c)).collect()
}

/// Holds every promise of [`chunk`] against its result.
fn check(document: &Document, options: &ChunkOptions, chunks: &[Chunk]) {
    let mut covered = vec![false; document.text.len()];
    let mut last_start = None;
    for c in chunks {
        let text = document.text.get(c.span.clone()).expect("on character boundaries");
        assert!(!text.is_empty() && text.trim() == text, "trimmed: {text:?}");
        assert!(last_start < Some(c.span.start), "in order");
        last_start = Some(c.span.start);
        let n_tokens = count(&embedding_text(document.title.as_deref(), &c.heading_path, text));
        assert!(n_tokens <= options.max_tokens || text.chars().count() == 1, "{n_tokens} tokens: {text:?}");
        assert!(text.len() <= options.max_tokens * BYTES_PER_TOKEN, "{} bytes", text.len());
        assert_eq!(c.line_start as usize, document.text[..c.span.start].matches('\n').count() + 1);
        assert_eq!(c.line_end as usize, document.text[..c.span.end].matches('\n').count() + 1);
        match c.page {
            None => assert!(document.pages.is_empty()),
            Some(page) => assert!(document.pages[page as usize - 1].start <= c.span.start || page == 1),
        }
        covered[c.span.clone()].fill(true);
    }
    for block in &document.blocks {
        for (offset, c) in document.text[block.span.clone()].char_indices() {
            assert!(c.is_whitespace() || covered[block.span.start + offset], "lost {c:?} of {block:?}");
        }
    }
}

#[test]
fn a_small_document_is_one_passage() {
    let chunks = cut(&document(&[(h(1), "Title"), (P, "One."), (P, "Two.")]));
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].0, "Title\n\nOne.\n\nTwo.");
    assert_eq!(chunks[0].1.heading_path, ["Title"]);
    assert_eq!((chunks[0].1.line_start, chunks[0].1.line_end), (1, 5));
}

#[test]
fn a_passage_of_a_sheet_tells_its_cells() {
    let table: String = (2..300).map(|number| format!("| {number} | tiles and gutters | 12.5 |\n")).collect();
    let mut document = document(&[(h(1), "Costs"), (BlockKind::Table, table.trim_end())]);
    let mut at = document.blocks[1].span.start;
    for (line, number) in table.lines().zip(2..) {
        document.rows.push(Row { span: at..at + line.len(), number, columns: 0..3 });
        at += line.len() + 1;
    }
    assert_eq!(document.check(), Ok(()));
    let chunks = cut(&document);
    assert!(chunks.len() > 10);
    let number = |row: &str| row.split(' ').nth(1).unwrap().to_owned();
    for (text, chunk) in &chunks {
        let mut rows = text.lines().filter(|line| line.starts_with('|'));
        let first = number(rows.next().unwrap());
        let last = rows.next_back().map_or(first.clone(), number);
        assert_eq!(chunk.heading_path, ["Costs".to_owned(), format!("A{first}:C{last}")]);
    }
}

#[test]
fn a_passage_never_crosses_into_the_next_section() {
    let chunks = cut(&document(&[
        (h(1), "T"),
        (P, "intro"),
        (h(2), "A"),
        (P, "aa"),
        (h(3), "A1"),
        (P, "a1"),
        (h(2), "B"),
        (P, "bb"),
    ]));
    let texts: Vec<_> = chunks.iter().map(|c| c.0.as_str()).collect();
    assert_eq!(texts, ["T\n\nintro", "A\n\naa\n\n### A1\n\na1", "B\n\nbb"]);
    assert_eq!(chunks[1].1.heading_path, ["T", "A"]);
    assert_eq!(chunks[2].1.heading_path, ["T", "B"]);
}

#[test]
fn a_heading_stays_with_the_text_under_it() {
    let long = words(150, "alpha");
    let chunks = cut(&document(&[
        (h(1), "T"),
        (h(2), "A"),
        (P, &long),
        (h(3), "Sub"),
        (P, &long),
        (h(2), "B"),
        (P, "b"),
    ]));
    assert!(chunks[0].0.starts_with("T\n\n## A"), "{}", chunks[0].0);
    assert_eq!(chunks[0].1.heading_path, ["T", "A"]);
    assert!(chunks[1].0.starts_with("Sub\n\nalpha"), "{}", chunks[1].0);
    assert_eq!(chunks[1].1.heading_path, ["T", "A", "Sub"]);
    assert_eq!(chunks.len(), 3);
}

#[test]
fn a_long_paragraph_is_cut_between_sentences_with_overlap() {
    let text =
        (0..60).map(|i| format!("Sentence number {i} speaks of the weather.")).collect::<Vec<_>>().join(" ");
    let chunks = cut(&document(&[(P, &text)]));
    assert!(chunks.len() > 1);
    for pair in chunks.windows(2) {
        assert!(pair[0].0.ends_with('.') && pair[1].0.starts_with("Sentence"), "{pair:?}");
        let n_shared = count(&text[pair[1].1.span.start..pair[0].1.span.end]);
        assert!((30..=40).contains(&n_shared), "overlap of {n_shared} tokens");
        assert!(count(&pair[0].0) > 200, "well filled");
    }
}

#[test]
fn japanese_is_cut_at_its_own_marks() {
    let text = "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。".repeat(20);
    let chunks = cut(&document(&[(P, &text)]));
    assert!(chunks.len() > 3);
    assert!(chunks.iter().all(|c| c.0.ends_with('。')));
    let unmarked = "あ".repeat(2000);
    cut(&document(&[(P, &unmarked)]));
}

#[test]
fn tables_and_code_that_fit_are_whole() {
    let table = (0..12).map(|i| format!("| row{i} | value |")).collect::<Vec<_>>().join("\n");
    let program = (0..30).map(|i| format!("call_{i}();")).collect::<Vec<_>>().join("\n");
    let chunks =
        cut(&document(&[(P, &words(180, "beta")), (BlockKind::Table, &table), (P, "x"), (code(), &program)]));
    for whole in [&table, &program] {
        assert!(chunks.iter().any(|c| c.0.contains(whole.as_str())), "{whole} is cut");
    }
}

#[test]
fn long_code_is_cut_between_functions() {
    let program = (0..20)
        .map(|i| format!("/// Does {i}.\nfn f{i}() {{\n    first();\n\n    second();\n}}"))
        .collect::<Vec<_>>()
        .join("\n\n");
    let chunks = cut(&document(&[(code(), &program)]));
    assert!(chunks.len() > 1);
    for (text, _) in &chunks {
        assert!(text.starts_with("/// Does") && text.ends_with('}'), "{text}");
    }
}

#[test]
fn the_page_is_that_of_the_first_byte() {
    let mut document = document(&[(P, &words(150, "one")), (P, &words(150, "two")), (P, &words(150, "six"))]);
    let starts: Vec<_> = document.blocks.iter().map(|b| b.span.start).collect();
    document.pages = vec![0..starts[1], starts[1]..starts[2], starts[2]..document.text.len()];
    let pages: Vec<_> = cut(&document).iter().map(|(text, c)| (text[..3].to_owned(), c.page)).collect();
    assert_eq!(
        pages,
        [("one".to_owned(), Some(1)), ("two".to_owned(), Some(2)), ("six".to_owned(), Some(3))]
    );
    for (_, c) in cut(&document) {
        let page = c.page.expect("a paged format") as usize - 1;
        assert!(document.pages[page].contains(&c.span.start));
    }
}

#[test]
fn large_markup_between_blocks_is_not_part_of_a_passage() {
    let mut document = document(&[(P, "before"), (P, "MARKUP"), (P, "after")]);
    let comment = "x y ".repeat(100);
    let at = document.blocks[1].span.clone();
    document.text.replace_range(at.clone(), &comment);
    document.blocks.remove(1);
    let moved = comment.len() - at.len();
    document.blocks[1].span = document.blocks[1].span.start + moved..document.blocks[1].span.end + moved;
    let texts: Vec<_> = cut(&document).into_iter().map(|c| c.0).collect();
    assert_eq!(texts, ["before", "after"]);
}

#[test]
fn a_megabyte_on_one_line_is_many_bounded_passages() {
    for text in ["A".repeat(1 << 20), "word ".repeat(1 << 18).trim_end().to_owned(), "字".repeat(1 << 16)] {
        let document = document(&[(P, &text)]);
        assert!(cut(&document).len() > 100);
        let chunks = chunk(&document, &ChunkOptions::default(), &|_| 1);
        assert!(
            chunks.iter().all(|c| c.span.len() <= 254 * BYTES_PER_TOKEN),
            "bounded whatever the count says"
        );
    }
}

#[test]
fn a_passage_that_had_to_be_cut_is_overlapped_within_its_last_part() {
    // Together some sentences count more than the sum of each alone, as a tokenizer may have it.
    let together = |text: &str| if text.contains("S0 ") && text.contains("S3 ") { 100 } else { 0 };
    let count = |text: &str| text.split(' ').count() + together(text);
    let sentences: Vec<String> = (0..12).map(|n| format!("S{n} {} end.", ["w"; 8].join(" "))).collect();
    let document = document(&[(P, &sentences.join(" "))]);
    let options = ChunkOptions { target_tokens: 60, overlap_tokens: 40, max_tokens: 100 };
    let chunks = chunk(&document, &options, &count);
    assert!(chunks.len() > 2);
    assert!(chunks.is_sorted_by(|a, b| a.span.start < b.span.start), "{chunks:?}");
}

fn any_block() -> impl Strategy<Value = (BlockKind, String)> {
    let kind = prop_oneof![
        (1..5u8).prop_map(h),
        Just(P),
        Just(P),
        Just(BlockKind::ListItem),
        Just(BlockKind::Table),
        Just(code()),
    ];
    let text = prop_oneof![
        "[a-zA-Z ,.]{1,80}",
        "([a-z]{1,12}[ .\n]){1,300}",
        "[あ-ん。、]{1,400}",
        "(    |\t|\n|fn |\\}|[a-z]{1,9}\\(\\);?\n){1,200}",
        "\\PC{1,60}",
    ];
    (kind, text).prop_filter_map("blank", |(kind, text)| {
        let text = text.trim().to_owned();
        if text.is_empty() { None } else { Some((kind, text)) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_covered_and_nothing_exceeds_the_cap(
        blocks in proptest::collection::vec(any_block(), 0..14),
        title in proptest::option::of("[A-Z][a-z ]{0,90}"),
        target in 8..260usize,
    ) {
        let parts: Vec<_> = blocks.iter().map(|(kind, text)| (kind.clone(), text.as_str())).collect();
        let mut document = document(&parts);
        document.title = title;
        let options = ChunkOptions { target_tokens: target, overlap_tokens: target / 6, max_tokens: target.max(200) };
        check(&document, &options, &chunk(&document, &options, &count));
    }
}
