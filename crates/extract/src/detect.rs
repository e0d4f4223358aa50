//! What a file is: by its content where the content says so, else by its name.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{ExtractError, container};

/// What a file was read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Plain text, and every text file of a kind not known.
    Text,
    /// Markdown (CommonMark with tables, footnotes, front matter).
    Markdown,
    /// HTML and XHTML.
    Html,
    /// PDF documents.
    Pdf,
    /// Word documents (`.docx`).
    Docx,
    /// PowerPoint presentations (`.pptx`).
    Pptx,
    /// Excel workbooks (`.xlsx`).
    Xlsx,
    /// OpenDocument texts (`.odt`).
    Odt,
    /// OpenDocument presentations (`.odp`).
    Odp,
    /// OpenDocument spreadsheets (`.ods`).
    Ods,
    /// EPUB books.
    Epub,
    /// Rich text (`.rtf`).
    Rtf,
    /// reStructuredText.
    Rst,
    /// AsciiDoc.
    Asciidoc,
    /// Org mode.
    Org,
    /// LaTeX.
    Latex,
    /// A mail (`.eml`) with its attachments.
    Mail,
    /// Mails in one file (`.mbox`), by thread.
    Mailbox,
    /// Subtitles (`.srt`, `.vtt`).
    Subtitles,
    /// Comma- or tab-separated tables.
    Csv,
    /// Jupyter notebooks (`.ipynb`).
    Notebook,
    /// Data and settings with keys: JSON, YAML, TOML, INI.
    Data,
    /// Source code, and other text for programs.
    Code,
    /// Zip archives, with what their files hold.
    Zip,
    /// Tar archives, with what their files hold.
    Tar,
    /// One file (or a tar archive) compressed by gzip. A document is never of this format but of the file's.
    Gzip,
    /// A picture whose text was recognised ([`crate::Ocr`]). [`detect`] never says so.
    Image,
}

impl Format {
    /// Its lower-case name, as listed to users and kept in the index.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Odt => "odt",
            Self::Odp => "odp",
            Self::Ods => "ods",
            Self::Epub => "epub",
            Self::Rtf => "rtf",
            Self::Rst => "rst",
            Self::Asciidoc => "asciidoc",
            Self::Org => "org",
            Self::Latex => "latex",
            Self::Mail => "mail",
            Self::Mailbox => "mailbox",
            Self::Subtitles => "subtitles",
            Self::Csv => "csv",
            Self::Notebook => "notebook",
            Self::Data => "data",
            Self::Code => "code",
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::Gzip => "gzip",
            Self::Image => "image",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// First bytes of files that hold no text we can read, and what to call them.
const BINARY_MAGIC: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "PNG picture"),
    (b"\xff\xd8\xff", "JPEG picture"),
    (b"GIF87a", "GIF picture"),
    (b"GIF89a", "GIF picture"),
    (b"II*\0", "TIFF picture"),
    (b"MM\0*", "TIFF picture"),
    (b"\x7fELF", "program"),
    (b"MZ\x90\0", "program"),
    (b"\xcf\xfa\xed\xfe", "program"),
    (b"\xca\xfe\xba\xbe", "program"),
    (b"\0asm", "WebAssembly"),
    (b"BZh", "bzip2 archive: unpack it, or pack it as zip or tar.gz"),
    (b"\xfd7zXZ\0", "xz archive: unpack it, or pack it as zip or tar.gz"),
    (b"\x28\xb5\x2f\xfd", "zstd archive: unpack it, or pack it as zip or tar.gz"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive: unpack it, or pack it as zip or tar.gz"),
    (b"Rar!\x1a\x07", "RAR archive: unpack it, or pack it as zip or tar.gz"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"OggS", "Ogg media"),
    (b"fLaC", "FLAC audio"),
    (b"ID3", "MP3 audio"),
    (b"\x1a\x45\xdf\xa3", "Matroska video"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
    (b"OTTO", "font"),
    (b"\0\x01\0\0\0", "font"),
    (b"GGUF", "model weights"),
    (b"!<arch>\n", "library archive"),
    (b"%!PS", "PostScript: convert it to PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office format: save it as DOCX, XLSX or PPTX"),
];

/// Extension to language; the names are those of Markdown fences.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("ada", &["adb", "ads"]),
    ("asm", &["asm", "s"]),
    ("awk", &["awk"]),
    ("bash", &["sh", "bash", "zsh", "ksh", "bats"]),
    ("batch", &["bat", "cmd"]),
    ("c", &["c", "h"]),
    ("clojure", &["clj", "cljs", "cljc", "edn"]),
    ("cmake", &["cmake"]),
    ("cpp", &["cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++", "ino", "cu", "cuh"]),
    ("csharp", &["cs"]),
    ("css", &["css", "scss", "sass", "less"]),
    ("d", &["d"]),
    ("dart", &["dart"]),
    ("diff", &["diff", "patch"]),
    ("elixir", &["ex", "exs"]),
    ("elm", &["elm"]),
    ("erlang", &["erl", "hrl"]),
    ("fish", &["fish"]),
    ("fortran", &["f", "for", "f77", "f90", "f95", "f03", "f08"]),
    ("fsharp", &["fs", "fsi", "fsx"]),
    ("glsl", &["glsl", "vert", "frag", "wgsl", "hlsl"]),
    ("go", &["go"]),
    ("graphql", &["graphql", "gql"]),
    ("groovy", &["groovy", "gradle"]),
    ("haskell", &["hs", "lhs"]),
    ("hcl", &["tf", "hcl"]),
    ("ini", &["ini", "cfg", "conf", "properties", "desktop", "service", "editorconfig"]),
    ("java", &["java"]),
    ("javascript", &["js", "mjs", "cjs", "jsx"]),
    ("json", &["json", "jsonl", "ndjson", "json5", "jsonc", "geojson", "webmanifest"]),
    ("julia", &["jl"]),
    ("just", &["just"]),
    ("kotlin", &["kt", "kts"]),
    ("lisp", &["lisp", "cl", "el", "scm", "ss", "rkt"]),
    ("lua", &["lua"]),
    ("makefile", &["mk", "mak"]),
    ("matlab", &["m"]),
    ("nim", &["nim"]),
    ("nix", &["nix"]),
    ("objectivec", &["mm"]),
    ("ocaml", &["ml", "mli"]),
    ("pascal", &["pas", "pp", "dpr"]),
    ("perl", &["pl", "pm", "t"]),
    ("php", &["php", "phtml"]),
    ("powershell", &["ps1", "psm1", "psd1"]),
    ("prolog", &["pro"]),
    ("protobuf", &["proto"]),
    ("python", &["py", "pyi", "pyw", "pyx", "bzl", "star"]),
    ("r", &["r"]),
    ("ruby", &["rb", "rake", "gemspec"]),
    ("rust", &["rs"]),
    ("scala", &["scala", "sbt"]),
    ("sql", &["sql"]),
    ("svelte", &["svelte"]),
    ("swift", &["swift"]),
    ("tcl", &["tcl"]),
    ("toml", &["toml", "lock"]),
    ("typescript", &["ts", "mts", "cts", "tsx"]),
    ("vb", &["vb", "bas", "vbs"]),
    ("verilog", &["v", "sv", "svh"]),
    ("vhdl", &["vhd", "vhdl"]),
    ("vim", &["vim"]),
    ("vue", &["vue"]),
    ("xml", &["xml", "xsd", "xsl", "xslt", "wsdl", "plist", "pom", "csproj", "ui", "rss", "atom"]),
    ("yaml", &["yaml", "yml"]),
    ("zig", &["zig"]),
];

/// Whole file names to language.
const NAMED: &[(&str, &[&str])] = &[
    ("bash", &[".bashrc", ".profile", ".zshrc", ".bash_profile", "pkgbuild"]),
    ("cmake", &["cmakelists.txt"]),
    ("dockerfile", &["dockerfile", "containerfile"]),
    ("ini", &[".gitconfig", ".gitmodules", ".npmrc"]),
    ("just", &["justfile"]),
    ("makefile", &["makefile", "gnumakefile"]),
    ("meson", &["meson.build"]),
    ("python", &["sconstruct", "wscript"]),
    ("ruby", &["gemfile", "rakefile", "vagrantfile"]),
];

/// Decides what a file is. Magic bytes win over the name; for text the name's extension decides;
/// text of no known extension is [`Format::Html`] if it opens like a web page, else [`Format::Text`].
///
/// # Errors
/// [`ExtractError::Skipped`] for content known to hold no text (pictures, programs, archives).
pub fn detect(path: &Path, bytes: &[u8]) -> Result<Format, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::skipped("empty file"));
    }
    if is_pdf(path, bytes) {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip_kind(path, bytes);
    }
    if bytes.starts_with(b"\x1f\x8b\x08") {
        return Ok(Format::Gzip);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Ok(Format::Tar);
    }
    if bytes.starts_with(b"{\\rtf") {
        return Ok(Format::Rtf);
    }
    if is_encrypted_office(bytes) {
        return Err(ExtractError::failed("encrypted: remove the password and run `docent update`"));
    }
    if let Some(kind) = binary_kind(bytes) {
        return Err(ExtractError::skipped(format!("binary file ({kind})")));
    }
    let extension = extension(path);
    let by_name = match extension.as_deref() {
        Some("md" | "markdown" | "mkd" | "mdown" | "mdx" | "rmd" | "qmd") => Some(Format::Markdown),
        Some("html" | "htm" | "xhtml" | "xht" | "shtml") => Some(Format::Html),
        Some("csv" | "tsv") => Some(Format::Csv),
        Some("ipynb") => Some(Format::Notebook),
        Some("rst" | "rest") => Some(Format::Rst),
        Some("adoc" | "asciidoc" | "asc") if !bytes.starts_with(b"-----BEGIN PGP") => Some(Format::Asciidoc),
        Some("org") => Some(Format::Org),
        Some("tex" | "latex" | "ltx") => Some(Format::Latex),
        Some("eml") => Some(Format::Mail),
        Some("mbox" | "mbx") => Some(Format::Mailbox),
        Some("srt" | "vtt") => Some(Format::Subtitles),
        Some("svg" | "svgz") => return Err(ExtractError::skipped("picture (SVG)")),
        Some("txt" | "text" | "log") if code_language(path).is_none() => Some(Format::Text),
        _ => code_language(path).map(|language| match language {
            "json" | "yaml" | "toml" | "ini" => Format::Data,
            _ => Format::Code,
        }),
    };
    Ok(by_name.unwrap_or_else(|| by_beginning(bytes)))
}

/// The language of a source file by its name: `rust`, `python`; `None` when the name says nothing.
pub(crate) fn code_language(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let named = NAMED.iter().find(|(_, names)| names.contains(&name.as_str()));
    let by_extension = || {
        let extension = extension(path)?;
        LANGUAGES.iter().find(|(_, extensions)| extensions.contains(&extension.as_str()))
    };
    named.or_else(by_extension).map(|(language, _)| *language)
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Readers look for the header in the first kilobyte (ISO 32000-1, annex H.3.4.1); past the start it counts in a file
/// of that name only, so that a text about PDFs stays a text.
fn is_pdf(path: &Path, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    head.trim_ascii_start().starts_with(b"%PDF-")
        || (extension(path).as_deref() == Some("pdf") && head.windows(5).any(|w| w == b"%PDF-"))
}

/// What a zip file is: by the type it declares in its first bytes (OpenDocument, EPUB), by the names in its directory, or, if
/// it was cut, by its extension.
fn zip_kind(path: &Path, bytes: &[u8]) -> Result<Format, ExtractError> {
    let head = &bytes[..bytes.len().min(200)];
    let declared = [
        ("mimetypeapplication/epub+zip", Format::Epub),
        ("mimetypeapplication/vnd.oasis.opendocument.text", Format::Odt),
        ("mimetypeapplication/vnd.oasis.opendocument.presentation", Format::Odp),
        ("mimetypeapplication/vnd.oasis.opendocument.spreadsheet", Format::Ods),
    ];
    let in_head = |mime: &str| head.windows(mime.len()).any(|w| w == mime.as_bytes());
    if let Some((_, format)) = declared.iter().find(|(mime, _)| in_head(mime)) {
        return Ok(*format);
    }
    let extension = extension(path);
    let by_extension = match extension.as_deref() {
        Some("docx") => Some(Format::Docx),
        Some("pptx") => Some(Format::Pptx),
        Some("xlsx") => Some(Format::Xlsx),
        Some("epub") => Some(Format::Epub),
        Some("odt") => Some(Format::Odt),
        Some("odp") => Some(Format::Odp),
        Some("ods") => Some(Format::Ods),
        _ => None,
    };
    let named = [
        ("word/document.xml", Format::Docx),
        ("ppt/presentation.xml", Format::Pptx),
        ("xl/workbook.xml", Format::Xlsx),
        ("META-INF/container.xml", Format::Epub),
    ];
    let other = match container::entry_names(bytes) {
        // An archive of office files lists those, not their parts.
        Some(names) => match named.iter().find(|(name, _)| names.iter().any(|n| n == name)) {
            Some((_, format)) => return Ok(*format),
            None if names.iter().any(|name| name == "Index/Document.iwa" || name == "Index.zip") => {
                Some("Pages, Numbers or Keynote: export it as PDF or an Office format")
            }
            None if names.iter().any(|name| name == "xl/workbook.bin") => Some("XLSB: save it as XLSX"),
            None => None,
        },
        None => None,
    };
    let other = other.or(match extension.as_deref() {
        Some(
            "jar" | "war" | "ear" | "aar" | "apk" | "aab" | "ipa" | "whl" | "egg" | "xpi" | "crx" | "nupkg"
            | "vsix",
        ) => Some("program package"),
        _ => None,
    });
    match other {
        Some(kind) => Err(ExtractError::skipped(format!("binary file ({kind})"))),
        None => Ok(by_extension.unwrap_or(Format::Zip)),
    }
}

/// A password-protected DOCX, XLSX or PPTX is an old-style container with a stream of this name.
fn is_encrypted_office(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.starts_with(b"\xd0\xcf\x11\xe0") && bytes.windows(name.len()).any(|w| w == name)
}

/// Whether it is a picture made of dots, in which text may be recognised.
pub(crate) fn is_picture(bytes: &[u8]) -> bool {
    binary_kind(bytes).is_some_and(|kind| kind.ends_with(" picture"))
}

fn binary_kind(bytes: &[u8]) -> Option<&'static str> {
    let riff = bytes.starts_with(b"RIFF") && bytes.len() > 12;
    match bytes.get(8..12) {
        Some(b"WEBP") if riff => return Some("WebP picture"),
        Some(b"WAVE") if riff => return Some("WAV audio"),
        Some(b"AVI ") if riff => return Some("AVI video"),
        _ if bytes.get(4..8) == Some(b"ftyp") => return Some("MP4 media"),
        _ => {}
    }
    BINARY_MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// Whether the first kilobyte, after blank space, comments and an XML declaration, is a page's opening.
fn opens_like_html(bytes: &[u8]) -> bool {
    let head = bytes[..bytes.len().min(1024)].to_ascii_lowercase();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
    let holds = |needle: &[u8]| head.windows(needle.len()).any(|w| w == needle);
    head.starts_with(b"<!doctype html")
        || head.starts_with(b"<html")
        || (head.starts_with(b"<") && (holds(b"<!doctype html") || holds(b"<html")))
}

/// What a text whose name says nothing is by how it begins.
fn by_beginning(bytes: &[u8]) -> Format {
    if opens_like_html(bytes) {
        Format::Html
    } else if bytes.starts_with(b"#!/") {
        Format::Code
    } else if bytes.starts_with(b"WEBVTT") {
        Format::Subtitles
    } else if bytes.starts_with(b"From ") && opens_like_mail(bytes.split_inclusive(|b| *b == b'\n').skip(1)) {
        Format::Mailbox
    } else if opens_like_mail(bytes.split_inclusive(|b| *b == b'\n')) {
        Format::Mail
    } else {
        Format::Text
    }
}

/// Whether the lines up to the first blank one are header fields (RFC 5322, section 2.2), among them three that mails have and
/// notes with a `From:` in them do not. Files of a maildir have no extension.
fn opens_like_mail<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    const TELLING: [&[u8]; 7] = [
        b"received:",
        b"message-id:",
        b"from:",
        b"date:",
        b"mime-version:",
        b"return-path:",
        b"delivered-to:",
    ];
    let mut n_telling = 0;
    for line in lines.take(200) {
        let line = line.trim_ascii_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        let n_name =
            line.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-' || **b == b'_').count();
        let is_folded = line[0] == b' ' || line[0] == b'\t';
        if !is_folded && line.get(n_name) != Some(&b':') {
            return false;
        }
        n_telling += usize::from(TELLING.iter().any(|name| line.starts_with(name)));
    }
    n_telling >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, bytes: &[u8]) -> Result<Format, ExtractError> {
        detect(Path::new(name), bytes)
    }

    #[test]
    fn content_decides_before_the_name() {
        let error = format("notes.txt", b"\x89PNG\r\n\x1a\n....").unwrap_err();
        assert_eq!(error.reason(), "binary file (PNG picture)");
        let error = format("notes.txt.xz", b"\xfd7zXZ\0....").unwrap_err();
        assert!(error.reason().ends_with("(xz archive: unpack it, or pack it as zip or tar.gz)"), "{error}");
        assert_eq!(format("page", b"\n<!-- x --><!DOCTYPE HTML><html>").unwrap(), Format::Html);
        assert_eq!(format("run", b"#!/bin/sh\necho").unwrap(), Format::Code);
    }

    #[test]
    fn names_decide_among_texts() {
        assert_eq!(format("a.MD", b"x").unwrap(), Format::Markdown);
        assert_eq!(format("a.rs", b"x").unwrap(), Format::Code);
        assert_eq!(format("LICENSE", b"x").unwrap(), Format::Text);
        assert_eq!(format("a.yml", b"x").unwrap(), Format::Data);
        assert_eq!(format("CMakeLists.txt", b"x").unwrap(), Format::Code);
        assert_eq!(code_language(Path::new("/x/Makefile")), Some("makefile"));
        assert_eq!(code_language(Path::new("/x/CMakeLists.txt")), Some("cmake"));
        assert_eq!(code_language(Path::new("/x/a.TSX")), Some("typescript"));
    }

    #[test]
    fn mails_without_an_extension_are_known_by_their_headers() {
        let mail =
            b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\nFrom: A <a@b>\r\nSubject: s\r\n\r\nbody";
        assert_eq!(format("1700000000.M1P1.host:2,S", mail).unwrap(), Format::Mail);
        let mailbox = [b"From a@b Mon Jan  1 00:00:00 2024\n", &mail[..]].concat();
        assert_eq!(format("Inbox", &mailbox).unwrap(), Format::Mailbox);
        assert_eq!(format("notes", b"From: me\nDate: today\n\nFrom here on").unwrap(), Format::Text);
        assert_eq!(format("letter", b"From time to time\nwe write.").unwrap(), Format::Text);
    }

    #[test]
    fn no_extension_names_two_languages() {
        let mut all: Vec<_> = LANGUAGES.iter().flat_map(|(_, e)| e.iter()).collect();
        let n_listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n_listed);
    }
}
