//! `ask`: an answer and what supports it.

use docent::{Answer, AskOptions, Check, Citation, Evidence, Library, Place, Status};
use serde_json::{Value, json};

use crate::Options;
use crate::arguments::Ask;
use crate::places::location;
use crate::reply::{Replied, Reply, capped};

/// The most characters shown of a sentence that supports an answer.
const QUOTE: usize = 600;

/// How the question is to be answered.
///
/// # Errors
/// What is wrong with the arguments.
pub fn options(options: &Options, wanted: &Ask) -> Result<AskOptions, String> {
    wanted.check()?;
    Ok(AskOptions {
        within: Vec::new(),
        narrow: wanted.narrow()?,
        rerank: options.rerank.clone(),
        budget: wanted.budget.map_or(options.ask.budget, Evidence::Tokens),
        ..options.ask.clone()
    })
}

/// Answers, and keeps what was read once `tell` has the answer.
pub fn run(
    library: &Library,
    question: &str,
    options: &AskOptions,
    cancel: &docent::Cancel,
    on_event: &mut dyn FnMut(docent::AskEvent),
    tell: impl FnOnce(Replied),
) {
    let answer = library.ask(question, options, cancel, on_event);
    tell(match answer {
        Ok(_) if cancel.is_cancelled() => Err("stopped".to_owned()),
        Ok(answer) => Ok(Reply { text: as_text(&answer), json: as_json(&answer) }),
        Err(error) => Err(error.to_string()),
    });
    library.flush_prefixes();
}

fn as_text(answer: &Answer) -> String {
    let mut text = answer.answer.trim().to_owned();
    match answer.status {
        Status::NotFound if !answer.unsupported.is_empty() => {
            text.push_str("\n\nNothing in the documents supports this answer.");
        }
        Status::NotFound => {}
        Status::Answered | Status::Partly => {
            for sentence in &answer.unsupported {
                text.push_str(&format!("\n\nNot found in the documents: {}", sentence.trim()));
            }
        }
    }
    if !answer.citations.is_empty() {
        text.push_str("\n\nSources:");
    }
    for citation in &answer.citations {
        let check = match citation.check {
            Check::Verified | Check::Repaired => "",
            Check::SourceChanged => "  (the file has changed since it was indexed)",
            Check::SourceGone => "  (the file is gone)",
        };
        let (quote, is_cut) = capped(&citation.place.quote, QUOTE);
        let more = if is_cut { " […]" } else { "" };
        text.push_str(&format!("\n[{}] {}{check}\n    \"{quote}{more}\"", citation.n, at(&citation.place)));
    }
    if answer.status == Status::NotFound && !answer.nearest.is_empty() {
        text.push_str("\n\nNearest passages:");
        for place in &answer.nearest {
            text.push_str(&format!("\n- {}", at(place)));
        }
    }
    text
}

fn at(place: &Place) -> String {
    location(&place.path, (place.line_start, place.line_end), place.page, &place.heading_path)
}

fn as_json(answer: &Answer) -> Value {
    let citations: Vec<Value> = answer.citations.iter().map(citation_json).collect();
    let nearest: Vec<Value> = answer.nearest.iter().map(place_json).collect();
    json!({
        "status": answer.status, "answer": answer.answer, "citations": citations, "unsupported": answer.unsupported,
        "nearest": nearest, "model": answer.model, "usage": answer.usage, "seconds": answer.timing.total_s,
    })
}

fn citation_json(citation: &Citation) -> Value {
    let mut told = place_json(&citation.place);
    told["n"] = json!(citation.n);
    told["kind"] = json!(citation.kind);
    told["check"] = json!(citation.check);
    told
}

fn place_json(place: &Place) -> Value {
    let (quote, is_cut) = capped(&place.quote, QUOTE);
    json!({
        "path": place.path.to_string_lossy(), "line_start": place.line_start, "line_end": place.line_end, "page": place.page,
        "heading_path": place.heading_path, "quote": quote, "cut": is_cut,
    })
}
