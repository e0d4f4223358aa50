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

/// A PDF of one page with nothing on it.
#[cfg(unix)]
const BLANK: &str = "%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj\n\
    3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n";

/// Runs `docent ARGS` where the programs of the system are these shell scripts alone.
#[cfg(unix)]
fn among(home: &Home, programs: &[(&str, &str)], args: &[&str]) -> support::Ran {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let bin = home.home().with_file_name("bin");
    let _ = std::fs::remove_dir_all(&bin);
    std::fs::create_dir_all(&bin).unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    for (name, script) in programs {
        let program = bin.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    support::Ran::new(args, home.command(args).env("PATH", bin).output().unwrap())
}

/// Draws two pages: `page N`.
#[cfg(unix)]
const PDFTOPPM: (&str, &str) = (
    "pdftoppm",
    r#"while [ "$1" != -f ]; do shift; done; /bin/cat > /dev/null; [ "$2" -le 2 ] || exit 99; echo "page $2""#,
);

/// Reads what it is given aloud, and for which language.
#[cfg(unix)]
const TESSERACT: (&str, &str) =
    ("tesseract", r#"read line; echo "It says $line in $4."; echo; echo "The end.""#);

#[cfg(unix)]
#[test]
fn pictures_are_read_when_asked_for_and_not_otherwise() {
    let home = Home::empty();
    let scan = home.write("scan.pdf", BLANK);
    let picture = home.write("photo.png", b"\x89PNG\r\n\x1a\nx\n");
    let [scan, picture] = [&scan, &picture].map(|path| path.to_str().unwrap());
    let both = [PDFTOPPM, TESSERACT];
    among(&home, &both, &["extract", scan]).exits(1).says("see `--ocr`");
    among(&home, &both, &["extract", picture]).exits(1).says("PNG picture");
    among(&home, &both, &["extract", "--ocr=none", scan]).exits(1);
    among(&home, &both, &["extract", "--ocr=-x", scan]).exits(2).says("deu+eng");
    let told = among(&home, &both, &["extract", "--json", "--ocr=deu+eng", scan]).exits(0).json();
    assert_eq!(
        told["text"],
        "It says page 1 in deu+eng.\n\nThe end.\n\nIt says page 2 in deu+eng.\n\nThe end."
    );
    assert_eq!(told["pages"].as_array().unwrap().len(), 2);
    assert_eq!(told["blocks"][2]["page"], 2);
    assert!(told["warnings"][0].as_str().unwrap().contains("OCR"));
    let told = among(&home, &both, &["extract", "--json", "--ocr", picture]).exits(0).json();
    assert_eq!(told["format"], "image");
    assert!(told["text"].as_str().unwrap().ends_with("in eng.\n\nThe end."));
    // A setting is as good as a flag.
    home.write("../home/config.toml", "ocr = \"fra\"\n");
    among(&home, &both, &["extract", "--markdown", scan]).exits(0).prints("page 1 in fra");
    among(&home, &both, &["extract", "--ocr=none", scan]).exits(1);
}

#[cfg(unix)]
#[test]
fn text_recognition_says_what_it_lacks() {
    let home = Home::empty();
    let scan = home.write("scan.pdf", BLANK);
    let args = ["extract", "--ocr", scan.to_str().unwrap()];
    among(&home, &[], &args).exits(2).says("needs the program pdftoppm: install it").says("poppler-utils");
    among(&home, &[PDFTOPPM], &args).exits(2).says("needs the program tesseract: install it");
    let no_language = ("tesseract", "echo Error opening data file eng.traineddata >&2; exit 1");
    among(&home, &[PDFTOPPM, no_language], &args).exits(2).says("data file eng.traineddata");
    among(&home, &[PDFTOPPM, ("tesseract", "exit 0")], &args).exits(1).says("found no words");
    let half = ("tesseract", r#"read line; [ "$line" = "page 1" ] && echo Words."#);
    among(&home, &[PDFTOPPM, half], &args).exits(0).prints("page 2 and what comes after it was left out");
}

/// Skipped, with the reason, where the programs are not installed.
#[test]
fn tesseract_reads_a_drawn_page() {
    use std::process::Command;

    let report = concat!(env!("CARGO_MANIFEST_DIR"), "/../extract/tests/golden/report.pdf");
    let drawn = Command::new("pdftoppm").args(["-png", "-r", "200", "-l", "1", report]).output();
    let is_there = Command::new("tesseract").arg("--version").output().is_ok();
    let (Ok(drawn), true) = (drawn, is_there) else {
        return eprintln!("skipped: pdftoppm or tesseract is not installed");
    };
    let home = Home::empty();
    let picture = home.write("report.png", &drawn.stdout);
    let read = |args: &[&str]| {
        home.docent(&[args, &["--json"]].concat()).exits(0).json()["text"].as_str().unwrap().to_owned()
    };
    let words: Vec<String> =
        read(&["extract", report]).split_whitespace().take(12).map(str::to_owned).collect();
    let recognised = read(&["extract", "--ocr", picture.to_str().unwrap()]);
    let n_found = words.iter().filter(|word| recognised.contains(*word)).count();
    assert!(n_found * 4 >= words.len() * 3, "{n_found} of {words:?} in {recognised:?}");
}
