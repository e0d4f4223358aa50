#!/usr/bin/env python3
"""Writes what fuzzing parsers of documents starts with: fuzz/seeds.py [PARSER[,PARSER...]], every parser without a name.

corpus/extract-PARSER (corpus/extract without a name) gets the golden files of its formats, in the form that fuzz_targets/extract.rs reads;
extract-PARSER.dict beside it the words that the parser's source has between quotes, so that the fuzzer need not guess
`\\begin` letter by letter.
"""

import pathlib
import re
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "crates/extract/tests/golden"
SOURCE = HERE.parent / "crates/extract/src"

DOCX = ["word/document.xml", "word/styles.xml", "word/numbering.xml", "word/footnotes.xml", "word/endnotes.xml", "docProps/core.xml"]
PPTX = [
    "ppt/presentation.xml", "ppt/_rels/presentation.xml.rels", "ppt/slides/slide1.xml", "ppt/slides/_rels/slide1.xml.rels",
    "ppt/notesSlides/notesSlide1.xml", "ppt/slides/slide2.xml", "docProps/core.xml",
]
XLSX = [
    "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml",
    "xl/worksheets/sheet2.xml", "docProps/core.xml",
]
ODF = ["content.xml", "meta.xml"]
EPUB = ["META-INF/container.xml", "OPS/book.opf", "OPS/text/one.xhtml", "OPS/text/two.xhtml"]

# Longest part taken of an office file: a fuzzer makes nothing of the hundreds of styles that Word writes.
MAX_PART = 6000

# As PARSERS of fuzz_targets/extract.rs, in its order: the golden files of each form, and the sources whose words are the dictionary.
PARSERS = {
    "text": ([["*.txt"], []], ["plain", "decode", "detect"]),
    "markdown": ([["*.md"]], ["markdown"]),
    "rst": ([["*.rst"]], ["rst", "markup"]),
    "asciidoc": ([["*.adoc"]], ["asciidoc", "markup"]),
    "org": ([["*.org"]], ["org", "markup"]),
    "latex": ([["*.tex"]], ["latex", "latex/symbols"]),
    "html": ([["*.html"]], ["html", "html/sink", "html_tokens", "entities"]),
    "csv": ([["*.csv"]], ["csv"]),
    "data": ([["*.json"], ["*.yaml"], ["*.toml"], []], ["data"]),
    "code": ([["*.py"], []], ["code"]),
    "notebook": ([["*.ipynb"]], ["notebook"]),
    "subtitles": ([["*.srt"], ["*.vtt"]], ["subtitles"]),
    "mail": ([["*.eml"], ["*.mbox"]], ["mail", "mailbox"]),
    "rtf": ([["*.rtf"]], ["rtf", "rtf/tables"]),
    "archive": ([["*.zip"], [], ["*.gz"], ["*.zip"], ["*.tar.gz"]], ["tar"]),
    "docx": ([["*.docx"]], ["docx", "docx/body", "docx/styles", "xml"]),
    "pptx": ([["*.pptx"]], ["pptx", "xml"]),
    "xlsx": ([["*.xlsx"]], ["xlsx", "xml"]),
    "odf": ([["*.odt"], ["*.odt"], ["*.odt"]], ["odf", "xml"]),
    "epub": ([["*.epub"]], ["epub", "xml", "html/sink"]),
    "pdf": ([[]], []),
}
PARTS = {"docx": DOCX, "pptx": PPTX, "xlsx": XLSX, "odf": ODF, "epub": EPUB}


def case(parser, form, file):
    """The bytes of a golden file in the form that the fuzz target reads."""
    if parser in PARTS:
        with zipfile.ZipFile(file) as container:
            names = set(container.namelist())
            return b"\xff".join(container.read(name)[:MAX_PART] if name in names else b"" for name in PARTS[parser])
    if parser == "archive" and form == 3:
        with zipfile.ZipFile(file) as container:
            return b"\xff".join(part for name in container.namelist() for part in (name.encode(), container.read(name).replace(b"\xff", b"")))
    if parser == "archive" and form == 4:
        import gzip
        return gzip.decompress(file.read_bytes())
    return file.read_bytes()


def page():
    """A page of two columns below a heading, in the form of `pdf` of the fuzz target."""
    glyphs = [(letter, 20 + 5 * i, 240, 80, 0) for i, letter in enumerate(b"Heading")]
    for y in range(200, 100, -5):
        for x in (20, 130):
            glyphs += [(letter, x + 2 * i, y, 40, 0) for i, letter in enumerate(b"words of a line in a column, cut at its end-")]
    glyphs += [(letter, 20, 20 + 2 * i, 40, 1) for i, letter in enumerate(b"turned")]
    glyphs += [(letter, 20 + 2 * i, 20, 40, 0x80 if i == 0 else 0) for i, letter in enumerate(b"next page")]
    return bytes(value for glyph in glyphs for value in glyph)


def words(sources):
    """String and byte literals of the sources, tests aside, as lines of a dictionary of libFuzzer."""
    found = set()
    for source in sources:
        text = (SOURCE / f"{source}.rs").read_text().split("#[cfg(test)]")[0]
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
        found |= set(re.findall(r'"((?:[^"\\\n]|\\["\\ntr])+)"', code)) | set(re.findall(r"'([^'\\\n])'", code))
    for word in sorted(found):
        word = word.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace('\\"', '"').replace("\\\\", "\\")
        # Names of elements and commands come with what opens them.
        forms = [word]
        if {"latex", "rtf"} & set(sources) and word.isalpha():
            forms += ["\\" + word, "\\begin{" + word + "}"]
        if {"xml", "html"} & set(sources) and re.fullmatch(r"[a-z][a-z0-9-]*", word):
            forms += [f"<{word}>", f"</{word}>"]
        for form in forms:
            if len(form.encode()) <= 64:
                yield '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in form.encode()) + '"'


def main():
    wanted = sys.argv[1].split(",") if sys.argv[1:] else list(PARSERS)
    corpus = HERE / "corpus" / "-".join(["extract", *sys.argv[1:]])
    corpus.mkdir(parents=True, exist_ok=True)
    first = 0
    dictionary = []
    for parser, (forms, sources) in PARSERS.items():
        if parser not in wanted:
            continue
        for form, globs in enumerate(forms):
            for file in (file for glob in globs for file in sorted(GOLDEN.glob(glob))):
                (corpus / f"{first + form}-{file.name}").write_bytes(bytes([first + form]) + case(parser, form, file))
        if parser == "pdf":
            (corpus / f"{first}-page").write_bytes(bytes([first]) + page())
        first += len(forms)
        dictionary += words(sources)
    corpus.with_name(corpus.name + ".dict").write_text("\n".join(dictionary) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 2 or not set(",".join(sys.argv[1:]).split(",")) - {""} <= set(PARSERS):
        sys.exit(f"the parsers are {' '.join(PARSERS)}")
    main()
