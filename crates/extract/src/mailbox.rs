//! Mailboxes (mbox, RFC 4155): the mails by thread, so that question and answer stand together.
//!
//! 1. A mail begins with a line `From SENDER DATE` after a blank line.
//! 2. A mail belongs to the thread of the last mail it refers to (`References`, `In-Reply-To`) that is in the box; mails that refer to
//!    the same missing one belong together.
//! 3. Threads come in the order of their first mail, mails in a thread by date. The thread's subject is a heading, and each
//!    mail's sender and date one below it.

use std::collections::HashMap;

use mail_parser::MessageParser;

use crate::document::{BlockKind, Document, Writer};
use crate::limits::Allowance;
use crate::{ExtractError, Format, mail};

/// Warnings told.
const MAX_WARNINGS: usize = 50;

pub(crate) fn extract(bytes: &[u8], allowance: &mut Allowance) -> Result<Document, ExtractError> {
    let mails = split(bytes);
    let mut writer = Writer::default();
    let mut warnings = Vec::new();
    let mut title = None;
    for thread in threads(&mails) {
        let mut is_first = true;
        for idx in thread {
            if let Err(reason) = allowance.take_entry() {
                warnings.push(reason);
                return Ok(finish(writer, warnings, title));
            }
            let message = match mail::parse(mails[idx]) {
                Ok(message) => message,
                Err(error) => {
                    warnings.push(format!("mail {}: {}", idx + 1, error.reason()));
                    continue;
                }
            };
            if is_first {
                let subject = message.thread_name().unwrap_or("(no subject)");
                title.get_or_insert_with(|| subject.to_owned());
                writer.push(subject, BlockKind::Heading { level: 1 });
                is_first = false;
            }
            mail::write(&message, 2, &mut writer, &mut warnings, allowance);
        }
    }
    Ok(finish(writer, warnings, title))
}

fn finish(writer: Writer, mut warnings: Vec<String>, title: Option<String>) -> Document {
    if warnings.len() > MAX_WARNINGS {
        let n_more = warnings.len() - MAX_WARNINGS;
        warnings.truncate(MAX_WARNINGS);
        warnings.push(format!("and {n_more} more"));
    }
    Document { warnings, ..writer.finish(Format::Mailbox, title) }
}

/// The mails of a box, without the lines that part them.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut mails = Vec::new();
    let mut start = None;
    let (mut at, mut after_blank) = (0, true);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if after_blank && line.starts_with(b"From ") && line.contains(&b':') {
            mails.extend(start.map(|start| &bytes[start..at]));
            start = Some(at + line.len());
        }
        after_blank = line.trim_ascii().is_empty();
        at += line.len();
    }
    mails.extend(start.map(|start| &bytes[start..]));
    mails
}

/// Positions of the mails of each thread, in the order they are told in.
fn threads(mails: &[&[u8]]) -> Vec<Vec<usize>> {
    let heads: Vec<Head> = mails.iter().map(|mail| Head::of(mail)).collect();
    let by_id: HashMap<&str, usize> =
        heads.iter().enumerate().filter_map(|(idx, head)| Some((head.id.as_deref()?, idx))).collect();
    let mut threads: Vec<Vec<usize>> = Vec::new();
    let mut of_root: HashMap<&str, usize> = HashMap::new();
    for idx in 0..heads.len() {
        // Up to the mail that refers to none in the box; a circle ends after as many steps as there are mails in a long thread.
        let mut root = idx;
        for _ in 0..1000 {
            match heads[root].refers_to.iter().rev().find_map(|id| by_id.get(id.as_str())) {
                Some(parent) if *parent != root => root = *parent,
                _ => break,
            }
        }
        let missing = heads[root].refers_to.first().map(String::as_str);
        match missing.or(heads[root].id.as_deref()) {
            Some(key) => {
                let thread = *of_root.entry(key).or_insert_with(|| {
                    threads.push(Vec::new());
                    threads.len() - 1
                });
                threads[thread].push(idx);
            }
            None => threads.push(vec![idx]),
        }
    }
    for thread in &mut threads {
        thread.sort_by_key(|idx| heads[*idx].date);
    }
    threads
}

/// What places a mail in a thread.
struct Head {
    id: Option<String>,
    /// Ids of the mails it follows, the oldest first.
    refers_to: Vec<String>,
    /// Seconds since 1970.
    date: Option<i64>,
}

impl Head {
    fn of(bytes: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse_headers(bytes) else {
            return Self { id: None, refers_to: Vec::new(), date: None };
        };
        let mut refers_to = mail::ids(message.references());
        for id in mail::ids(message.in_reply_to()) {
            if !refers_to.contains(&id) {
                refers_to.push(id);
            }
        }
        // The newest references are the ones that count; a list of thousands is no thread.
        let n_old = refers_to.len().saturating_sub(200);
        refers_to.drain(..n_old);
        Self {
            id: message.message_id().map(|id| id.trim().to_owned()),
            refers_to,
            date: message.date().map(mail_parser::DateTime::to_timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn mail(id: &str, refers: &str, subject: &str, day: u8, body: &str) -> String {
        let refers = if refers.is_empty() { String::new() } else { format!("References: {refers}\n") };
        format!(
            "From a@b Fri Mar  1 12:00:00 2024\nFrom: a@b\nMessage-ID: <{id}>\n{refers}Subject: {subject}\nDate: {day} Mar 2024 10:00:00 +0000\n\n{body}\n\n"
        )
    }

    #[test]
    fn mails_of_a_thread_stand_together() {
        let all = [
            mail("1", "", "Roof", 1, "The roof leaks.\n>From here on we pay.\nFrom time to time it drips."),
            mail("2", "", "Other", 2, "Something else."),
            mail("4", "<1> <3>", "Re: Roof", 4, "> By Friday.\nFine."),
            mail("3", "<1>", "Re: Roof", 3, "By Friday."),
            mail("5", "<x>", "Re: Lost", 5, "lost one"),
            mail("6", "<x>", "Re: Lost", 6, "lost two"),
        ]
        .concat();
        let document = extract(all.as_bytes(), &mut Allowance::of(&Limits::default())).unwrap();
        assert_eq!(document.check(), Ok(()));
        let headings: Vec<&str> = document
            .blocks
            .iter()
            .filter(|b| matches!(b.kind, BlockKind::Heading { .. }))
            .map(|b| &document.text[b.span.clone()])
            .collect();
        assert_eq!(
            headings,
            ["Roof", "Roof", "Re: Roof", "Re: Roof", "Other", "Other", "Lost", "Re: Lost", "Re: Lost"]
        );
        assert!(document.text.contains("leaks.\nFrom here on we pay.\nFrom time to time"));
        let (friday, fine) = (document.text.find("By Friday").unwrap(), document.text.find("Fine.").unwrap());
        assert!(friday < fine && fine < document.text.find("Something else").unwrap());
    }

    #[test]
    fn mails_that_refer_to_each_other_in_a_circle_end() {
        let all: String =
            (0..500).map(|i| mail(&i.to_string(), &format!("<{}>", (i + 1) % 500), "x", 1, "text")).collect();
        assert!(extract(all.as_bytes(), &mut Allowance::of(&Limits::default())).is_ok());
        assert!(extract(b"From x 12:00\n\nFrom y 13:00\n", &mut Allowance::of(&Limits::default())).is_ok());
    }
}
