#!/usr/bin/env python3
"""Makes the golden files that are not written by hand: `python3 make.py`, with python-docx, python-pptx and openpyxl installed.

Office files come from libraries that are not ours, so that they look as such files do; times inside are fixed, so that the
bytes of the others are the same each time. What should come out of each file is in `expected/`, written from what goes in here.
"""

import datetime
import email.message
import email.policy
import gzip
import io
import pathlib
import re
import tarfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
DAY = datetime.datetime(2024, 3, 1, 12, 0, 0)
PROSE = "The roof was repaired in March. Two of the tiles had been loose since the storm, and the gutter was cleaned on the same day."


def docx():
    import docx

    document = docx.Document()
    core = document.core_properties
    core.title, core.author, core.created, core.modified, core.language = "House log", "Ann Lee", DAY, DAY, "en-GB"
    document.add_heading("House log", 0)
    document.add_heading("Repairs", 1)
    document.add_paragraph(PROSE)
    for text in ("Tiles", "Gutter"):
        document.add_paragraph(text, style="List Bullet")
    for text in ("Call the firm", "Pay the bill"):
        document.add_paragraph(text, style="List Number")
    document.add_heading("Costs", 2)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Item", "Euro"
    for item, euro in (("Tiles | two", "120"), ("Gutter", "60")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = item, euro
    document.add_paragraph("Quoted words.", style="Quote")
    document.add_paragraph("Straße, naïve, 日本語, emoji 🏠.")
    document.save(HERE / "house.docx")


def pptx():
    import pptx

    deck = pptx.Presentation()
    deck.core_properties.title, deck.core_properties.author, deck.core_properties.created = "Roof talk", "Bo Zhang", DAY
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Why tiles fall"
    frame = slide.placeholders[1].text_frame
    frame.text = "Wind"
    point = frame.add_paragraph()
    point.text, point.level = "Gusts over 90 km/h", 1
    slide.notes_slide.notes_text_frame.text = "Show the picture of the storm."
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Costs"
    table = slide.shapes.add_table(2, 2, 0, 0, 4000000, 1000000).table
    for row, cells in enumerate((("Item", "Euro"), ("Tiles", "120"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    deck.save(HERE / "talk.pptx")


def xlsx():
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator, book.properties.created = "Costs", "Ann Lee", DAY
    sheet = book.active
    sheet.title = "March"
    sheet.append(["Date", "Item", "Euro"])
    sheet.append([datetime.date(2024, 3, 1), "Tiles", 120.5])
    sheet.append([datetime.date(2024, 3, 4), "Gutter", 60])
    sheet["C4"] = "=SUM(C2:C3)"
    other = book.create_sheet("Firms")
    other.append(["Name", "Town"])
    other.append(["Dach & Co", "Köln"])
    book.save(HERE / "costs.xlsx")
    # The library writes the time of saving.
    with zipfile.ZipFile(HERE / "costs.xlsx") as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    core = re.compile(rb'(<dcterms:modified[^>]*>)[^<]*')
    zipped("costs.xlsx", [(name, core.sub(rb"\g<1>2024-03-01T12:00:00Z", content)) for name, content in entries])


def zipped(name, entries, stored=()):
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in entries:
            info = zipfile.ZipInfo(path, (2024, 3, 1, 12, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if path in stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)


ODF = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'


def odt():
    meta = f'<?xml version="1.0"?><office:document-meta {ODF}><office:meta><dc:title>Garden</dc:title><meta:initial-creator>Ann Lee</meta:initial-creator><meta:creation-date>2024-03-01T12:00:00</meta:creation-date><dc:language>en</dc:language></office:meta></office:document-meta>'
    cell = lambda text: f"<table:table-cell><text:p>{text}</text:p></table:table-cell>"
    row = lambda *cells: f"<table:table-row>{''.join(map(cell, cells))}</table:table-row>"
    content = f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document-content {ODF}><office:body><office:text>
<text:h text:outline-level="1">Garden</text:h><text:p>{PROSE}</text:p>
<text:h text:outline-level="2">Beds</text:h>
<text:list><text:list-item><text:p>Beans</text:p><text:list><text:list-item><text:p>climbing</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>Peas</text:p></text:list-item></text:list>
<table:table table:name="T"><table:table-header-rows>{row("Bed", "Metres")}</table:table-header-rows>{row("North", "4")}{row("South &amp; west", "6")}</table:table>
<text:p>Water<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Rain water.</text:p></text:note-body></text:note> daily.</text:p>
</office:text></office:body></office:document-content>"""
    zipped("garden.odt", [("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", content), ("meta.xml", meta)], stored=("mimetype",))


def epub():
    chapter = lambda title, body: f'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>'
    package = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Small House</dc:title><dc:creator>Ann Lee</dc:creator><dc:creator>Bo Zhang</dc:creator><dc:date>2024-03-01</dc:date><dc:language>en</dc:language></metadata>
<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/><item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/></spine></package>"""
    zipped("book.epub", [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'),
        ("OPS/book.opf", package),
        ("OPS/nav.xhtml", chapter("Contents", "<nav><ol><li>One</li></ol></nav>")),
        ("OPS/text/two.xhtml", chapter("The winter", "<p>Snow lay on the roof.</p><blockquote><p>Cold, he said.</p></blockquote>")),
        ("OPS/text/one.xhtml", chapter("The summer", f"<p>{PROSE}</p><ul><li>Sun</li><li>Rain</li></ul>")),
    ], stored=("mimetype",))


def pdf():
    """Two pages with a title, headings by size, a hyphenated paragraph and a row of columns, as a typesetter would place them."""
    def page(lines):
        parts = ["BT"]
        for size, x, y, text in lines:
            text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
            parts.append(f"/F1 {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj")
        return "\n".join([*parts, "ET"]).encode("cp1252")

    body = ["The roof was repaired in March. Two of the tiles had been loose since the", "storm, and the gutter was cleaned on the same day. Everything was docu-",
            "mented, and the invoice was paid within a fortnight of that."]
    one = [(20, 72, 720, "Annual report"), (14, 72, 680, "Repairs")] + [(10, 72, 650 - 12 * i, line) for i, line in enumerate(body)]
    two = [(14, 72, 720, "Costs")] + [(10, 72, 690 - 14 * i, name) for i, name in enumerate(("Tiles", "Gutter", "Paint"))]
    two += [(10, 300, 690 - 14 * i, euro) for i, euro in enumerate(("120", "60", "35"))]
    two += [(10, 72, 600, "All amounts are in euros and include the tax that was due at the time.")]
    objects = [b"<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>", b"<< /Type /Pages /Count 2 /Kids [4 0 R 6 0 R] >>",
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"]
    for i, lines in enumerate((one, two)):
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % (5 + 2 * i))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page(lines)), page(lines)))
    objects.append(b"<< /Title (Annual report) /Author (Ann Lee) /CreationDate (D:20240301120000+01'00') >>")
    out, offsets = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, io.SEEK_END)
    for i, content in enumerate(objects):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (i + 1, content))
    xref = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % at for at in offsets))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(objects), xref))
    (HERE / "report.pdf").write_bytes(out.getvalue())


def mail(subject, sender, to, body, ident, refers=(), attachments=(), html=None, day=1):
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(max_line_length=76))
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = datetime.datetime(2024, 3, day, 10, 0, tzinfo=datetime.timezone.utc)
    message["Message-ID"] = f"<{ident}@example.org>"
    if refers:
        message["In-Reply-To"] = f"<{refers[-1]}@example.org>"
        message["References"] = " ".join(f"<{one}@example.org>" for one in refers)
    message.set_content(body, charset="utf-8")
    if html:
        message.add_alternative(html, subtype="html")
    for name, kind, content in attachments:
        message.add_attachment(content, maintype=kind.split("/")[0], subtype=kind.split("/")[1], filename=name)
    text = message.as_bytes()
    # The library draws boundaries at random.
    for i, boundary in enumerate({part.get_boundary() for part in message.walk() if part.get_boundary()}):
        text = text.replace(boundary.encode(), b"=-boundary-%d-of-this-mail" % len(attachments) if i == 0 else b"=-inner-%d" % i)
    return text


def mails():
    log = b"# Log\n\n- tiles fixed\n- gutter cleaned\n"
    (HERE / "letter.eml").write_bytes(mail(
        "Grüße vom Dach", "Jürgen Groß <j@example.org>", "Ann Lee <ann@example.org>",
        "Liebe Ann,\n\ndie Ziegel sind fest.\n\n> Sind die Ziegel fest?\n> Und die Rinne?\n\nBeides = erledigt.\n", "letter",
        attachments=[("log.md", "text/markdown", log), ("roof.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(40))]))
    box = [mail("Roof", "Ann <ann@example.org>", "bo@example.org", "The roof leaks.\n", "one"),
           mail("Lunch", "Cy <cy@example.org>", "bo@example.org", "Soup at noon?\n", "lunch", day=2),
           mail("Re: Roof", "Bo <bo@example.org>", "ann@example.org", "> The roof leaks.\n\nI will call.\n", "two", refers=("one",), day=3)]
    (HERE / "inbox.mbox").write_bytes(b"".join(b"From x@example.org Fri Mar  1 10:00:00 2024\n" + one.replace(b"\r\n", b"\n") + b"\n" for one in box))


def archives():
    notes = "# Notes\n\nThe key is under the pot.\n"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(zipfile.ZipInfo("deep.txt", (2024, 3, 1, 12, 0, 0)), "A text in an archive in an archive.\n")
    zipped("papers.zip", [("docs/notes.md", notes), ("docs/list.csv", "name,euro\ntiles,120\n"), ("inner.zip", inner.getvalue()),
                          ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(40)), (".hidden/x.txt", "no"), ("__MACOSX/._x", "no")])
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in (("docs/notes.md", notes), ("docs/" + "long-" * 30 + "name.txt", "A file with a long name.\n")):
            info = tarfile.TarInfo(path)
            info.size, info.mtime = len(content), int(DAY.timestamp())
            archive.addfile(info, io.BytesIO(content.encode()))
    (HERE / "papers.tar.gz").write_bytes(gzip.compress(tarred.getvalue(), mtime=0))
    (HERE / "notes.md.gz").write_bytes(gzip.compress(notes.encode(), mtime=0))


def encodings():
    german = "Grüße aus Köln.\n\nÄpfel und Öl sind schön, natürlich auch Füße und Bücher über Gärten.\n"
    japanese = "吾輩は猫である。\n\n名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。\n"
    chinese = "我们的生活越来越好。\n\n城市里的人们都很高兴，因为春天来了，花园里的树木也绿了。\n"
    for name, text, encoding in (
        ("utf16le-mark.txt", "\ufeff" + german, "utf-16-le"), ("utf16be-mark.txt", "\ufeff" + german, "utf-16-be"),
        ("utf16le.txt", german, "utf-16-le"), ("latin1.txt", german, "latin-1"),
        ("shift-jis.txt", japanese, "shift_jis"), ("gb18030.txt", chinese, "gb18030"),
    ):
        (HERE / name).write_bytes(text.encode(encoding))


if __name__ == "__main__":
    for make in (docx, pptx, xlsx, odt, epub, pdf, mails, archives, encodings):
        make()
