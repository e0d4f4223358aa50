//! `history`: what was asked.

use docent::{Record, Status};
use serde_json::json;

use super::Context;
use super::ask::location;
use crate::args::{HistoryArgs, HistoryCommand};
use crate::exit::Outcome;
use crate::output::{count, printable};

pub fn run(context: &Context, args: &HistoryArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        None => list(context, args.json),
        Some(HistoryCommand::Show { id, json }) => show(context, id, *json || args.json),
        Some(HistoryCommand::Clear) => {
            let n_records = context.library.clear_history()?;
            context.output.line(format!("{} questions forgotten", count(n_records)));
            Ok(Outcome::Done)
        }
    }
}

fn list(context: &Context, as_json: bool) -> anyhow::Result<Outcome> {
    let records = context.library.history()?;
    if as_json {
        context.output.json(&json!({ "records": records }))?;
    } else {
        for record in &records {
            let (id, question) = (&record.id, printable(&record.question));
            context.output.line(format!(
                "{id}  {}  {:<9}  {question}",
                when(record.asked_at),
                status(record)
            ));
        }
    }
    if records.is_empty() {
        context.output.note("nothing was asked yet");
        return Ok(Outcome::NotFound);
    }
    Ok(Outcome::Done)
}

fn show(context: &Context, id: &str, as_json: bool) -> anyhow::Result<Outcome> {
    let record = context.library.record(id)?;
    let output = &context.output;
    if as_json {
        output.json(&record)?;
        return Ok(Outcome::Done);
    }
    output.line(output.bold(&printable(&record.question)));
    output.line(output.dim(&format!("{}  {}  {}", record.id, when(record.asked_at), record.answer.model)));
    output.line("");
    output.line(printable(&record.answer.answer));
    for citation in &record.answer.citations {
        output.line(format!("[{}] {}", citation.n, location(&citation.place)));
    }
    if let Some(made) = &record.made {
        output.line("");
        output.line(output.dim(&format!("from {} passages:", count(made.passages.len()))));
        for from in &made.passages {
            let path = printable(&from.path.to_string_lossy());
            output.line(output.dim(&format!("  {path}, bytes {} to {}", from.byte_start, from.byte_end)));
        }
    }
    Ok(Outcome::Done)
}

fn status(record: &Record) -> &'static str {
    match record.answer.status {
        Status::Answered => "answered",
        Status::Partly => "partly",
        Status::NotFound => "not found",
    }
}

/// The time where this machine is, to the minute.
pub fn when(asked_at: u64) -> String {
    let time = i64::try_from(asked_at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let zoned = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or_else(String::new, |zoned| zoned.strftime("%Y-%m-%d %H:%M").to_string())
}
