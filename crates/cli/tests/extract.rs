//! `docent extract`: what is understood of a file, in three forms, with exit codes that scripts can use.

mod support;

use support::Home;

const NOTES: &str =
    "---\ntitle: Notes\nauthor: Ann Lee\ndate: 2024-03-01\n---\n# Roof\n\nIt leaks.\n\n- call\n- pay\n";

#[test]
fn a_file_is_shown_as_overview_markdown_and_json() {
    let home = Home::empty();
    let notes = home.write("notes.md", NOTES);
    let notes = notes.to_str().unwrap();
    home.docent(&["extract", notes])
        .exits(0)
        .prints("Ann Lee")
        .prints("heading 1     Roof")
        .prints("list_item");
    home.docent(&["extract", "--markdown", notes]).exits(0).prints("# Roof\n\nIt leaks.\n\n- call\n- pay\n");
    let told = home.docent(&["extract", "--json", notes]).exits(0).json();
    assert_eq!(told["outcome"], "text");
    assert_eq!(told["title"], "Notes");
    assert_eq!(told["authors"][0], "Ann Lee");
    assert_eq!(told["created"], "2024-03-01");
    assert_eq!(told["same_as_file"], true);
    let blocks = told["blocks"].as_array().unwrap();
    let item = blocks.iter().find(|block| block["kind"] == "list_item").unwrap();
    let (start, end) =
        (item["byte_start"].as_u64().unwrap() as usize, item["byte_end"].as_u64().unwrap() as usize);
    assert_eq!(&NOTES[start..end], "- call");
    assert_eq!(item["heading_path"][0], "Roof");
    assert!(!home.home().exists(), "nothing is written");
}

#[test]
fn exit_codes_tell_text_from_no_text_from_failure() {
    let home = Home::empty();
    let text = home.write("a.txt", "Some text.");
    let picture = home.write("b.png", b"\x89PNG\r\n\x1a\n0000");
    let broken = home.write("c.docx", b"PK\x03\x04broken");
    let [text, picture, broken] = [&text, &picture, &broken].map(|path| path.to_str().unwrap());
    home.docent(&["extract", text, picture]).exits(1).says("b.png: binary file (PNG picture)");
    home.docent(&["extract", text, picture, broken]).exits(2).says("c.docx: broken DOCX");
    home.docent(&["extract", "no-such-file"]).exits(2).says("no-such-file: ");
    home.docent(&["extract", home.docs().to_str().unwrap()]).exits(2).says("is a folder");
    let ran = home.docent(&["extract", "--json", text, picture, broken]).exits(2);
    let outcomes: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<&str> = outcomes.iter().map(|told| told["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["text", "no_text", "failed"]);
}
