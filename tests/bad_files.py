#!/usr/bin/env python3
"""Writes files made to break readers, for tests/extract_all.py: tests/bad_files.py FOLDER [--cuts 50]

bombs       files of kilobytes that unpack to gigabytes: a stream of blanks in each kind of container, archives in archives, entries that
            share their bytes, a text that a hundred thousand cells of a sheet name, cells that repeat
deep        a hundred thousand to a million elements in each other in what each office format is made of, pages, archives in archives
mails       quoted-printable, base64, headers and parts beyond all measure
repeats     a hundred thousand of each thing that a markup language is made of
truncated   every golden file of crates/extract cut at --cuts places, drawn by a generator with a fixed seed

Half a gigabyte, and the same on every run. Standard library only.
"""

import argparse
import gzip
import io
import pathlib
import random
import struct
import tarfile
import zipfile
import zlib

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "crates/extract/tests/golden"
GIGABYTE = 1 << 30

WORKBOOK = {
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="a" Type="t/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
    "b.opf": '<package><manifest><item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine></package>',
}
SLIDES = {
    "ppt/presentation.xml": '<p:presentation><p:sldId id="1" r:id="a"/></p:presentation>',
    "ppt/_rels/presentation.xml.rels": '<Relationships><Relationship Id="a" Type="t/slide" Target="slides/slide1.xml"/></Relationships>',
}
TEXT, SHEET = ({"mimetype": f"application/vnd.oasis.opendocument.{kind}"} for kind in ("text", "spreadsheet"))

# Each kind of office file: what else is in it, the part that holds its text, and that part's text around what is to be in it.
OFFICE = {
    "docx": ({}, "word/document.xml", "<w:document><w:body>", "<w:p><w:r><w:t>end</w:t></w:r></w:p></w:body></w:document>"),
    "pptx": (SLIDES, "ppt/slides/slide1.xml", "<p:sld><p:cSld>", "<a:p><a:r><a:t>end</a:t></a:r></a:p></p:cSld></p:sld>"),
    "xlsx": (WORKBOOK, "xl/worksheets/sheet1.xml", "<worksheet><sheetData>", "<row><c><v>1</v></c></row></sheetData></worksheet>"),
    "odt": (TEXT, "content.xml", "<office:body><office:text>", "<text:p>end</text:p></office:text></office:body>"),
    "ods": (SHEET, "content.xml", "<office:body><table:table>", "<table:table-row><table:table-cell><text:p>end</text:p></table:table-cell></table:table-row></table:table></office:body>"),
    "epub": (BOOK, "a.xhtml", "<html><body>", "<p>end</p></body></html>"),
}
ELEMENT = {"docx": "w:sdt", "pptx": "p:grpSp", "xlsx": "is", "odt": "text:section", "ods": "text:span", "epub": "div"}

REPEATS = {
    "md": ["> ", "- ", "[[", "* * ", "`", "|a|\n", "[a]: b\n", "<div>", "![", "**a ", "&amp;"],
    "rst": [".. note::\n", "==  ==\nx\n\n", "+--+\n", ":a: b\n", "=\n=\n", "===\nx\n===\n", "x::\n\n  y\n\n", ".. a::\n\n   ", "- "],
    "adoc": ["====\n", "----\n", "|===\n", "[source]\n", ":a: b\n", "x::\n", "* ", "--\n", "////\n"],
    "org": [":a:\n", "#+begin_src\n", "* ", "| a\n", ": x\n", "#+begin_x\n"],
    "tex": ["\\begin{itemize}", "\\item", "\\footnote{", "{\\bf ", "$", "$$", "\\begin{tabular}{l}", "\\title{", "\\'{", "&", "%\n", "\\verb|"],
    "html": ["<div>", "<table><tr><td>", "<ul><li>", "<b>", "<!--", "<p", "&#", "<pre>", "<script>", "</p>", "<a href="],
    "json": ["[", '{"a":', '"a",', "1,", '"a":', "{}", "]"],
    "yaml": ["- ", "a:\n ", "a: |\n", "- a: b\n", "  - x\n", '"a": ', "? ", "&a *a\n"],
    "toml": ["[a]\n", "[[a.b.c.d.e.f]]\n", "a = [\n"],
    "srt": ["0:1 --> 0:2\n", "1\n", "<", "{\\"],
    "rtf": ["{", "}", "\\par", "{\\footnote ", "\\cell", "\\row", "{\\info{\\title ", "\\u1 ", "\\'e9", "\\*", "\\bin99999999 "],
    "csv": ['"', ",", '"\n'],
    "py": ["(", "def f():\n ", "class A:\n", '"""', "#\n"],
    "ipynb": ["[", '{"cells":[', '{"cells":'],
}


def zipped(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in entries.items():
            container.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def office(extension, inside):
    others, part, head, tail = OFFICE[extension]
    return zipped({**others, part: head + inside + tail})


def big_zip(entries, name, n_bytes):
    """A zip file whose last entry is `n_bytes` of blanks, written without ever holding them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for other, content in entries.items():
            container.writestr(zipfile.ZipInfo(other), content)
        blanks = zipfile.ZipInfo(name)
        blanks.compress_type = zipfile.ZIP_DEFLATED
        with container.open(blanks, "w", force_zip64=True) as entry:
            for _ in range(n_bytes >> 20):
                entry.write(b" " * (1 << 20))
    return out.getvalue()


def overlapping(n_entries, n_bytes):
    """Entries of one directory that all point to the same compressed bytes: each unpacks to all of them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = b"word " * (n_bytes // 5)
    packed = compressor.compress(text) + compressor.flush()
    sizes = struct.pack("<III", zlib.crc32(text), len(packed), len(text))
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HH", 5, 0) + b"a.txt" + packed
    directory = b"".join(
        b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HHHHHII", 9, 0, 0, 0, 0, 0, 0) + b"%05d.txt" % i
        for i in range(n_entries))
    return local + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, n_entries, n_entries, len(directory), len(local), 0)


def gzip_of(chunks):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        for chunk in chunks:
            file.write(chunk)
    return out.getvalue()


def bombs():
    megabyte = b"word " * (1 << 18)
    for extension, (others, part, _, _) in OFFICE.items():
        yield f"blanks.{extension}", big_zip(others, part, GIGABYTE)
    yield "blanks.zip", big_zip({"first.txt": "first"}, "a.txt", 4 * GIGABYTE)
    yield "words.txt.gz", gzip_of(megabyte for _ in range(1024))
    yield "blanks.tar.gz", gzip_of([tarfile.TarInfo("a.txt").tobuf(), *(b" " * (1 << 20) for _ in range(1024))])
    yield "overlapping.zip", overlapping(15_000, 4 << 20)
    nested = zipped({"a.txt": "word " * (1 << 20)})
    for _ in range(4):
        nested = zipped({f"{i}.zip": nested for i in range(16)})
    yield "sixteen-to-the-fourth.zip", nested
    layers = b"x" * (1 << 20)
    for _ in range(1000):
        layers = gzip.compress(layers, mtime=0)
    yield "thousand-layers.gz", layers
    yield "entries.zip", zipped({f"{i}.txt": "x" for i in range(60_000)})
    yield "entries.tar.gz", gzip_of(tarfile.TarInfo(f"{i}.txt").tobuf() for i in range(500_000))
    long = "word " * 200_000
    cells = '<row><c t="s"><v>0</v></c></row>' * 1_000_000
    sheet = {"xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{cells}</sheetData></worksheet>"}
    yield "shared-string.xlsx", zipped({**WORKBOOK, "xl/sharedStrings.xml": f"<sst><si><t>{long}</t></si></sst>", **sheet})
    header = f'<row>{"<c><v>" + long + "</v></c>"}{"<c><v>" + long + "</v></c>"}</row>' + "<row><c><v>1</v></c></row>" * 1_000_000
    yield "long-header.xlsx", office("xlsx", header)
    yield "empty-rows.xlsx", office("xlsx", "<row/>" * 20_000_000)
    yield "far-cells.xlsx", office("xlsx", '<row><c r="SR1"><v>1</v></c></row>' * 1_000_000)
    cell = f'<table:table-cell table:number-columns-repeated="1000000"><text:p>{long}</text:p></table:table-cell>'
    yield "repeated.ods", office("ods", f"<table:table-row>{cell}</table:table-row>" * 200)
    yield "spaces.odt", office("odt", '<text:p>a<text:s text:c="4000000000"/>b</text:p>' * 1_000_000)
    entities = "<!DOCTYPE x [<!ENTITY a0 'word'>" + "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 20)) + "]>"
    for extension, (others, part, head, tail) in OFFICE.items():
        yield f"entities.{extension}", zipped({**others, part: entities + head + "&a19;" + tail})


def deep():
    for extension, element in ELEMENT.items():
        for n in (100_000, 1_000_000):
            yield f"{n}.{extension}", office(extension, f"<{element}>" * n)
            yield f"{n}-closed.{extension}", office(extension, f"<{element}>" * n + f"</{element}>" * n)
    yield "attributes.docx", office("docx", "<w:p " + " ".join(f'a{i}="{i}"' for i in range(1_000_000)) + "/>")
    yield "div.html", b"<div>" * 1_000_000
    yield "table.html", b"<table><tr><td>" * 300_000
    yield "json.json", b"[" * 10_000_000
    archive = b"words"
    for i in range(300):
        archive = zipped({"a.zip": archive})
    yield "archives.zip", archive


def mails():
    head = "From: a@b\r\nSubject: s\r\nDate: Fri, 01 Mar 2024 10:00:00 +0000\r\n"
    quoted = head + "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    cases = {
        "quoted-printable": quoted + "=3D=E2=82=AC=\r\n" * 3_000_000,
        "quoted-printable-one-line": quoted + "=E2=82=AC" * 4_000_000,
        "quoted-printable-soft": quoted + "=\r\n" * 10_000_000,
        "quoted-printable-broken": quoted + "=Z=" * 10_000_000,
        "encoded-words": f"From: a@b\r\nSubject: {'=?utf-8?q?=41?= ' * 2_000_000}\r\n\r\nx",
        "encoded-words-unclosed": f"From: a@b\r\nSubject: {'=?utf-8?q?' * 2_000_000}\r\n\r\nx",
        "folded": "From: a@b\r\nSubject: x" + "\r\n " * 5_000_000 + "\r\n\r\nx",
        "angles": f"From: {'<' * 10_000_000}\r\n\r\nx",
        "receivers": f"From: a@b\r\nTo: {'a@b, ' * 3_000_000}\r\n\r\nx",
        "comments": f"To: {'(' * 10_000_000}\r\n\r\nx",
        "references": f"From: a@b\r\nReferences: {'<a@b> ' * 3_000_000}\r\n\r\nx",
        "parts": head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 1_000_000,
        "parts-in-parts": head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 300_000,
        "parameters": head + f"Content-Type: text/plain; {'x*0=y; ' * 2_000_000}\r\n\r\nx",
        "base64": head + "Content-Transfer-Encoding: base64\r\n\r\n" + "=" * 20_000_000,
        "headers": "X: y\r\n" * 5_000_000,
    }
    for name, text in cases.items():
        yield f"{name}.eml", text
    inner = head + "\r\nwords"
    for i in range(200):
        inner = head + f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b{i}--\r\n"
    yield "mails-in-mails.eml", inner
    yield "separators.mbox", "From a 1:1\n\n" * 2_000_000
    yield "one-thread.mbox", "".join(
        f"From a Mon Jan  1 00:00:00 2024\nFrom: a@b\nSubject: s\nMessage-ID: <{i}@a>\nReferences: <{i - 1}@a>\n\nwords\n\n" for i in range(100_000))


def repeats():
    for extension, parts in REPEATS.items():
        for i, part in enumerate(parts):
            yield f"{i}.{extension}", ("{\\rtf1 " if extension == "rtf" else "") + part * 100_000


def truncated(n_cuts):
    place = random.Random(8)
    for file in sorted(file for file in GOLDEN.iterdir() if file.is_file() and file.suffix != ".md" or file.name == "notes.md"):
        content = file.read_bytes()
        for cut in sorted(place.randrange(len(content)) for _ in range(n_cuts)):
            yield f"{file.stem}-{cut}-{place.randrange(1 << 30):x}{''.join(file.suffixes)}", content[:cut]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--cuts", type=int, default=50)
    args = parser.parse_args()
    kinds = {"bombs": bombs(), "deep": deep(), "mails": mails(), "repeats": repeats(), "truncated": truncated(args.cuts)}
    for kind, files in kinds.items():
        folder = args.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    main()
