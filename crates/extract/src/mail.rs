//! Mails (RFC 5322, MIME): headers, the body's text, and what is attached, each read by its own format.
//!
//! Parsed by `mail-parser`, which neither panics nor uses unsafe code. Of a body that comes as text and as a web page the text is
//! read. Pictures in the body and attachments that give no text are told as warnings. What is quoted (`> …`) is a quote.

use std::path::Path;

use mail_parser::{Address, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::document::{About, BlockKind, Document, Writer, clean_title};
use crate::limits::Allowance;
use crate::plain::paragraphs;
use crate::{ExtractError, Format, html, read_member};

/// Messages attached to messages; the parser and its result nest with them.
const MAX_MESSAGES: usize = 100;

pub(crate) fn extract(bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let message = parse(bytes)?;
    let mut writer = Writer::default();
    let mut warnings = Vec::new();
    write(&message, 1, &mut writer, &mut warnings, allowance);
    let mut document = writer.finish(Format::Mail, message.subject().map(str::to_owned));
    document.about = about(&message);
    document.warnings = warnings;
    Ok(document)
}

/// Parses a message.
///
/// # Errors
/// Failed when it has no headers, or messages nest without end.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message<'_>, ExtractError> {
    let attached = bytes.windows(8).filter(|window| window.eq_ignore_ascii_case(b"e/rfc822")).count();
    if attached > MAX_MESSAGES {
        return Err(ExtractError::failed(format!(
            "mail with {attached} mails attached in each other: not read"
        )));
    }
    MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| ExtractError::failed("broken mail: it has no headers"))
}

/// Sender, date, and what links a mail to its thread.
pub(crate) fn about(message: &Message<'_>) -> About {
    let mut about =
        About { created: message.date().map(mail_parser::DateTime::to_rfc3339), ..About::default() };
    if let Some(from) = message.from() {
        about.add_author(&addresses(from));
    }
    let mut add = |name: &str, value: Option<String>| {
        about.fields.extend(clean_title(value).map(|value| (name.to_owned(), value)));
    };
    add("to", message.to().map(addresses));
    add("cc", message.cc().map(addresses));
    add("message-id", message.message_id().map(str::to_owned));
    add("in-reply-to", Some(ids(message.in_reply_to()).join(" ")));
    add("references", Some(ids(message.references()).join(" ")));
    about
}

/// The message ids of a header.
pub(crate) fn ids(header: &HeaderValue<'_>) -> Vec<String> {
    header
        .as_text_list()
        .unwrap_or_default()
        .iter()
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect()
}

fn addresses(address: &Address<'_>) -> String {
    let all = address.iter().map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    });
    all.collect::<Vec<_>>().join(", ")
}

/// Writes a message: its subject as a heading of `level`, who wrote it to whom and when, the body, the attachments.
pub(crate) fn write(
    message: &Message<'_>,
    level: u8,
    writer: &mut Writer,
    warnings: &mut Vec<String>,
    allowance: &mut Allowance,
) {
    writer.push(message.subject().unwrap_or_default(), BlockKind::Heading { level });
    write_headers(message, writer);
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) if is_page(part) => html::read(text).write(writer),
            PartType::Text(text) => write_body(text, writer),
            PartType::Html(page) => html::read(page).write(writer),
            _ => {}
        }
    }
    for part in message.attachments() {
        if let Err(reason) = allowance.take_entry() {
            // Once is enough: nothing more is read of any mail.
            if warnings.last() != Some(&reason) {
                warnings.push(reason);
            }
            return;
        }
        write_attachment(part, level.saturating_add(1), writer, warnings, allowance);
    }
}

fn is_page(part: &MessagePart<'_>) -> bool {
    part.is_content_type("text", "html")
}

fn write_headers(message: &Message<'_>, writer: &mut Writer) {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(clean_title(value).map(|value| format!("{name}: {value}")));
    };
    add("From", message.from().map(addresses));
    add("To", message.to().map(addresses));
    add("Cc", message.cc().map(addresses));
    add("Date", message.date().map(mail_parser::DateTime::to_rfc3339));
    writer.push(&lines.join("\n"), BlockKind::Paragraph);
}

/// A body of plain text: runs of quoted lines are quotes.
fn write_body(text: &str, writer: &mut Writer) {
    for span in paragraphs(text) {
        let lines: Vec<&str> =
            text[span].lines().map(|line| line.strip_prefix(">From ").map_or(line, |_| &line[1..])).collect();
        for run in lines.chunk_by(|a, b| is_quoted(a) == is_quoted(b)) {
            if is_quoted(run[0]) {
                let said: Vec<&str> =
                    run.iter().map(|line| line.trim_start_matches(['>', ' ', '|'])).collect();
                writer.push(&said.join("\n"), BlockKind::Quote);
            } else {
                writer.push(&run.join("\n"), BlockKind::Paragraph);
            }
        }
    }
}

fn is_quoted(line: &str) -> bool {
    line.starts_with('>')
}

fn write_attachment(
    part: &MessagePart<'_>,
    level: u8,
    writer: &mut Writer,
    warnings: &mut Vec<String>,
    allowance: &mut Allowance,
) {
    let name = part.attachment_name().unwrap_or_default();
    if let PartType::Message(message) = &part.body {
        let written = allowance.inside(|allowance| {
            write(message, level, writer, warnings, allowance);
            Ok(())
        });
        return warnings.extend(written.err().map(|error| format!("attached mail: {}", error.reason())));
    }
    // A page that is there beside the text is the same once more.
    let bytes = part.contents();
    if bytes.is_empty() || (name.is_empty() && matches!(part.body, PartType::Html(_))) {
        return;
    }
    let name = if name.is_empty() { nameless(part) } else { name.to_owned() };
    let taken = allowance.take_bytes(bytes.len() as u64).map_err(ExtractError::failed);
    let read = taken.and_then(|()| read_member(Path::new(&name), bytes, allowance));
    match read {
        Ok(attached) => {
            writer.push(&name, BlockKind::Heading { level });
            writer.append(&attached, level);
            warnings.extend(attached.warnings.into_iter().map(|warning| format!("{name}: {warning}")));
        }
        Err(error) => warnings.push(format!("{name}: {}", error.reason())),
    }
}

/// What to call an attachment without a name: its type tells how to read it.
fn nameless(part: &MessagePart<'_>) -> String {
    let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or("bin");
    let extension = match subtype {
        "plain" => "txt",
        "calendar" => "ics",
        other => other,
    };
    format!("attachment.{}", extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(mail: &str) -> Document {
        let document =
            extract(mail.replace('\n', "\r\n").as_bytes(), &mut Allowance::of(&Limits::default())).unwrap();
        assert_eq!(document.check(), Ok(()));
        document
    }

    const MULTIPART: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@x.org>\nTo: a@y.org, B <b@y.org>\nSubject: =?ISO-8859-1?B?R3L832U=?=\nDate: Fri, 1 Mar 2024 12:00:00 +0100\n\
Message-ID: <3@x>\nIn-Reply-To: <2@x>\nReferences: <1@x> <2@x>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=b\"\n\npreamble\n--=b\nContent-Type: multipart/alternative; boundary=c\n\n\
--c\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe an=\n alle.\n\n> quoted one\n> quoted two\nanswer\n--c\nContent-Type: text/html\n\n<p>Gr&uuml;&szlig;e</p>\n--c--\n\
--=b\nContent-Type: text/markdown; name=notes.md\nContent-Disposition: attachment; filename=notes.md\nContent-Transfer-Encoding: base64\n\nIyBOb3RlcwoKLSBvbmUKLSB0d28K\n\
--=b\nContent-Type: image/png; name=logo.png\nContent-Disposition: attachment; filename=logo.png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgoAAAAA\n--=b--\n";

    #[test]
    fn headers_body_and_attachments_come_in_order() {
        let document = read(MULTIPART);
        assert_eq!(
            document.text,
            "Grüße\n\nFrom: Jürgen <j@x.org>\nTo: a@y.org, B <b@y.org>\nDate: 2024-03-01T12:00:00+01:00\n\nGrüße an alle.\n\nquoted one\nquoted two\n\nanswer\n\nnotes.md\n\nNotes\n\n- one\n- two"
        );
        assert_eq!(document.title.as_deref(), Some("Grüße"));
        assert_eq!(document.warnings, ["logo.png: binary file (PNG picture)"]);
        assert_eq!(document.about.authors, ["Jürgen <j@x.org>"]);
        let fields: Vec<_> = document.about.fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert!(fields.contains(&("in-reply-to", "2@x")) && fields.contains(&("references", "1@x 2@x")));
        let levels: Vec<u8> = document
            .blocks
            .iter()
            .filter_map(|b| if let BlockKind::Heading { level } = b.kind { Some(level) } else { None })
            .collect();
        assert_eq!(levels, [1, 2, 3]);
    }

    #[test]
    fn a_mail_that_is_a_page_only_is_read_as_one() {
        let document = read(
            "From: a@b\nSubject: s\nContent-Type: text/html; charset=utf-8\n\n<h1>Big</h1><p>Text <b>bold</b></p>",
        );
        assert!(document.text.ends_with("Big\n\nText bold"));
    }

    #[test]
    fn an_attached_mail_stands_below_its_own_subject() {
        let document = read(
            "From: a@b\nSubject: outer\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nsee below\n--b\nContent-Type: message/rfc822\n\nFrom: c@d\nSubject: inner\n\nthe inner text\n--b--\n",
        );
        assert_eq!(document.text, "outer\n\nFrom: a@b\n\nsee below\n\ninner\n\nFrom: c@d\n\nthe inner text");
    }

    #[test]
    fn mails_in_mails_without_end_are_refused() {
        let mail = "Content-Type: message/rfc822\n\n".repeat(100_000);
        assert!(extract(mail.as_bytes(), &mut Allowance::of(&Limits::default())).is_err());
        let parts = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(20_000);
        let _ = extract(parts.as_bytes(), &mut Allowance::of(&Limits::default()));
    }
}
