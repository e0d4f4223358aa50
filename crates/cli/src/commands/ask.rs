//! `ask`: the answer streams to standard output, its sources follow.

use docent::json::{AskResult, StoreWrites};
use docent::{
    Answer, AskEvent, AskOptions, Check, Citation, Coverage, Evidence, Form, Kind, Order, Place, Reading,
    SearchOptions, Status, Style, Written,
};

use super::{Context, beside, ingest, models, pack, profile, replay, search};
use crate::args::{self, AskArgs, Budget, EvidenceArgs, ModelArgs, ReadingArgs, Thinking};
use crate::exit::Outcome;
use crate::output::{self, Output, count, duration, printable};
use crate::progress::{Bar, Unit};

pub fn run(context: &Context, args: &AskArgs) -> anyhow::Result<Outcome> {
    if let Some(id) = &args.replay {
        return replay::run(context, args, id);
    }
    let question = args.question.as_deref().unwrap_or_default();
    let Some(mut options) = prepare(context, question, &args.evidence)? else {
        return Ok(Outcome::Interrupted);
    };
    options.style = style(args.style);
    if args.dry_run {
        return pack::show(context, question, &options, args.json);
    }
    if args.explain {
        pack::explain(context, question, &options)?;
    }
    let over_all = reads_all(context, args, question, &options)?;
    if !over_all
        && !args.explain
        && let Some(outcome) = beside::ask(context, args, question, &options)?
    {
        return Ok(outcome);
    }
    let mut screen = Screen::new(context, args.json, args.evidence.model.thinking);
    let cancel = context.interrupt.cancel();
    let answer = match over_all {
        true => context.library.ask_over(question, &options, cancel, &mut |event| screen.show(event))?,
        false => context.library.ask(question, &options, cancel, &mut |event| screen.show(event))?,
    };
    screen.finish();
    profile::tell(context);
    if args.json {
        print_json(context, &answer)?;
    } else {
        print_sources(context, &answer, screen.printed);
        tell_written(context, &context.library.flush_prefixes());
    }
    Ok(outcome(context, &answer))
}

/// A question whose form asks for all documents reads them without being told to up to so many times what the model is given at once.
const UNASKED_BUDGETS: usize = 4;
/// The same of documents, for a model that chooses sentences and reads none whole.
const UNASKED_DOCUMENTS: usize = 100;

/// Whether all documents are read: as the user says, or as the question's form tells, and then that is told.
fn reads_all(
    context: &Context,
    args: &AskArgs,
    question: &str,
    options: &AskOptions,
) -> anyhow::Result<bool> {
    match (args.over, Form::of(question)) {
        (Some(over), _) => return Ok(over == args::Over::All),
        (None, None) => return Ok(false),
        // Whoever asks for a replay or a budget of their own knows what they want read.
        (None, Some(_)) if args.evidence.reading.budget.is_some() => return Ok(false),
        (None, Some(_)) => {}
    }
    let reach = context.library.reach(options)?;
    let few = reach.tokens <= reach.budget * UNASKED_BUDGETS
        || options.style.quotes_with(&context.library, &options.model)?
            && reach.documents <= UNASKED_DOCUMENTS;
    let (documents, tokens) = (count(reach.documents), count(reach.tokens));
    context.output.note(match few {
        true => format!(
            "this asks about all documents: reading each of {documents} (about {tokens} tokens); \
             --over best reads the best passages only"
        ),
        false => format!(
            "this asks about all documents, and only the best passages are read; \
             --over all reads each of {documents} (about {tokens} tokens)"
        ),
    });
    Ok(few)
}

/// In whose words.
pub fn style(style: Option<args::Style>) -> Style {
    match style {
        None => Style::Auto,
        Some(args::Style::Write) => Style::Write,
        Some(args::Style::Quote) => Style::Quote,
    }
}

/// Model and index as a question needs them, and how it is to be answered; none where the user stopped the indexing.
pub fn prepare(context: &Context, question: &str, args: &EvidenceArgs) -> anyhow::Result<Option<AskOptions>> {
    anyhow::ensure!(!question.trim().is_empty(), "the question is empty");
    let rerank = search::rerank(&args.rerank);
    let asked = SearchOptions { rerank: rerank.clone(), ..SearchOptions::default() };
    let model = models::ensure_for_ask(context, args.model.model.as_deref(), &asked, args.ingest.yes)?;
    if !args.within.is_empty() && ingest::look_into(context, &args.within)? == Outcome::Interrupted {
        return Ok(None);
    }
    Ok(Some(AskOptions {
        within: args.within.clone(),
        narrow: search::narrow(&args.narrow)?,
        rerank,
        model,
        ..options(&args.reading, &args.model)
    }))
}

/// What holds for every question: how much is read, and how the model runs.
pub fn options(reading: &ReadingArgs, model: &ModelArgs) -> AskOptions {
    AskOptions {
        kv_type: models::kv_type(model.kv),
        budget: match reading.budget {
            None => Evidence::Suits,
            Some(Budget::Tokens(n_tokens)) => Evidence::Tokens(n_tokens),
            Some(Budget::Auto) => Evidence::Seconds(reading.wait),
            Some(Budget::All) => Evidence::Everything,
        },
        order: reading.order.map(|order| match order {
            args::Order::Sticky => Order::Sticky,
            args::Order::Canonical => Order::Canonical,
            args::Order::Relevance => Order::Relevance,
        }),
        temperature: model.temperature,
        seed: model.seed,
        max_tokens: model.max_tokens,
        max_thinking: model.max_thinking,
        ..AskOptions::default()
    }
}

/// How an answer ends the program.
pub fn outcome(context: &Context, answer: &Answer) -> Outcome {
    match answer.status {
        _ if context.interrupt.requested() => Outcome::Interrupted,
        Status::Answered | Status::Partly => Outcome::Done,
        Status::NotFound => Outcome::NotFound,
    }
}

pub fn print_json(context: &Context, answer: &Answer) -> anyhow::Result<()> {
    let written = context.library.flush_prefixes();
    context.output.json(&with_store(answer, &written))
}

/// An answer, and what of its prompt was kept.
pub fn with_store(answer: &Answer, written: &Written) -> AskResult {
    AskResult { answer: answer.clone(), prefix_store: StoreWrites::from(written) }
}

/// Says so where something was lost. It is no failure of the answer.
pub fn tell_written(context: &Context, written: &Written) {
    tell_stored(context, &StoreWrites::from(written));
}

/// The same of what programs are told.
pub fn tell_stored(context: &Context, stored: &StoreWrites) {
    if let Some(failure) = &stored.failure {
        context.output.note(format!("note: what was read could not all be kept: {failure}"));
    }
    if stored.evicted_tokens > 0 {
        let n_tokens = count(stored.evicted_tokens);
        context.output.note(context.output.dim_note(&format!("{n_tokens} kept tokens gave way to new ones")));
    }
}

/// What the terminal shows while the answer is made.
pub struct Screen<'a> {
    context: &'a Context,
    bar: Option<Bar>,
    /// How many documents are read, where all are.
    documents: Option<Bar>,
    json: bool,
    thinking: Thinking,
    reasons: bool,
    /// Whether a piece of the answer has been printed.
    pub printed: bool,
}

impl<'a> Screen<'a> {
    pub fn new(context: &'a Context, json: bool, thinking: Thinking) -> Self {
        Self { context, bar: None, documents: None, json, thinking, reasons: false, printed: false }
    }

    pub fn show(&mut self, event: AskEvent) {
        match event {
            AskEvent::Retrieved { .. } => (),
            // While all documents are read, theirs is the bar.
            AskEvent::Packed { .. } | AskEvent::Reading(_) if self.documents.is_some() => (),
            AskEvent::Packed { prompt_tokens, n_passages, n_left_out } => {
                let bar = Bar::new(self.context.output.shows_progress(), Unit::Tokens);
                let left_out =
                    if n_left_out > 0 { format!(" ({n_left_out} left out)") } else { String::new() };
                bar.set(0, prompt_tokens as u64, format!("reading {n_passages} passages{left_out}"));
                self.bar = Some(bar);
            }
            AskEvent::Reading(reading) => self.read(reading),
            AskEvent::Thinking(text) => self.thought(&text),
            AskEvent::Answer(text) => self.answer(&text),
            AskEvent::Document { n, of, path } => {
                let items = || Bar::new(self.context.output.shows_progress(), Unit::Items);
                let bar = self.documents.get_or_insert_with(items);
                bar.set(n as u64 - 1, of as u64, output::place(&path));
            }
            AskEvent::Searched(question) => self.note(&format!("searched for: {}", printable(&question))),
            AskEvent::BegunAnew { n_turns } => self.note(&format!(
                "the conversation no longer fits the model's context: its first {} questions are no longer before it",
                count(n_turns)
            )),
            AskEvent::NotWrittenDown(reason) => self.context.output.note(format!("note: {reason}")),
        }
    }

    /// A line that is not the answer.
    pub fn note(&self, told: &str) {
        self.context.output.note(self.context.output.dim_note(told));
    }

    fn read(&mut self, reading: Reading) {
        match reading {
            Reading::Hashed { done, total } => {
                let new = || Bar::new(self.context.output.shows_progress(), Unit::Bytes);
                self.bar.get_or_insert_with(new).set(done, total, "first use of this model");
            }
            Reading::Found { cached, total, estimate_s } => self.found(cached, total, estimate_s),
            Reading::Prefill { done, total } => {
                if let Some(bar) = &self.bar {
                    bar.set(done as u64, total as u64, "reading");
                }
            }
        }
    }

    /// One line: what need not be read again, and how long the rest will take.
    fn found(&self, cached: usize, total: usize, estimate_s: Option<f64>) {
        let to_go = match estimate_s {
            Some(seconds) if seconds >= 2.0 => format!("; about {} to go", duration(seconds)),
            _ => String::new(),
        };
        let told = format!("{} of {} tokens cached{to_go}", count(cached), count(total));
        let tell = || self.context.output.note(self.context.output.dim_note(&told));
        match &self.bar {
            Some(bar) => bar.above(tell),
            None => tell(),
        }
    }

    /// A piece of reasoning: dimmed, on standard error, where it spoils no pipe.
    pub fn thought(&mut self, text: &str) {
        if self.thinking == Thinking::Show {
            self.bar = None;
            self.reasons = true;
            eprint!("{}", self.context.output.dim_note(&printable(text)));
        } else if self.bar.is_none() && self.context.output.shows_progress() {
            let bar = Bar::new(true, Unit::Tokens);
            bar.say("thinking");
            self.bar = Some(bar);
        }
    }

    /// A piece of the answer.
    pub fn answer(&mut self, text: &str) {
        (self.bar, self.documents) = (None, None);
        if self.json {
            return;
        }
        if std::mem::take(&mut self.reasons) {
            eprintln!();
        }
        let text = if self.printed { text } else { text.trim_start() };
        if !text.is_empty() {
            self.printed = true;
            self.context.output.write(&printable(text));
        }
    }

    pub fn finish(&mut self) {
        (self.bar, self.documents) = (None, None);
        if std::mem::take(&mut self.reasons) {
            eprintln!(); // thinking that no answer followed
        }
        if self.printed {
            self.context.output.line("");
        }
    }
}

pub fn print_sources(context: &Context, answer: &Answer, printed: bool) {
    let output = &context.output;
    if !printed {
        output.line(&answer.answer);
    }
    if !answer.citations.is_empty() {
        output.line("");
    }
    for citation in &answer.citations {
        print_citation(context, citation);
    }
    if !answer.unsupported.is_empty() && answer.status != Status::NotFound {
        output.line("");
        output.line(output.bold("Not found in your documents:"));
        for sentence in &answer.unsupported {
            output.line(format!("  {}", one_line(sentence)));
        }
    }
    if !answer.failed_quotes.is_empty() {
        output.line("");
        output.line(output.bold("Quoted, but in none of your documents:"));
        for quotation in &answer.failed_quotes {
            output.line(format!("  \"{}\"", one_line(quotation)));
        }
    }
    if answer.status == Status::NotFound {
        print_nearest(context, answer);
    }
    if let Some(coverage) = &answer.coverage {
        output.note(covered(coverage));
    }
    let usage = &answer.usage;
    let timing = &answer.timing;
    let written = match usage.completion_tokens {
        0 => format!("in {:.1} s", timing.total_s),
        n => format!(
            "first token after {:.1} s, {} tokens in {:.1} s",
            timing.first_token_s,
            count(n),
            timing.total_s
        ),
    };
    let (read, cached) = (count(usage.prompt_tokens), count(usage.cached_tokens));
    output
        .note(output.dim_note(&format!("{}: read {read} tokens ({cached} cached), {written}", answer.model)));
}

/// What a question about all documents read.
fn covered(coverage: &Coverage) -> String {
    let Coverage { documents, read, holding, parts, .. } = *coverage;
    let in_parts = if parts > read { format!(" in {} parts", count(parts)) } else { String::new() };
    let stopped = if read < documents { "; stopped before the others" } else { "" };
    format!(
        "read {} of {} documents{in_parts}; {} hold something about this{stopped}",
        count(read),
        count(documents),
        count(holding)
    )
}

fn print_citation(context: &Context, citation: &Citation) {
    let output = &context.output;
    let how = match citation.kind {
        Kind::Quoted => " (quoted)",
        Kind::Cited => "",
        Kind::Attributed => " (attributed)",
    };
    let check = match citation.check {
        Check::Verified => "",
        Check::Repaired => ", mended: the document says",
        Check::SourceChanged => " (the file has changed since it was indexed: `docent update`)",
        Check::SourceGone => " (the file is gone)",
    };
    output.line(format!("[{}] {}{how}{check}", citation.n, linked(output, &citation.place)));
    output.line(format!("    \"{}\"", one_line(&citation.place.quote)));
}

fn print_nearest(context: &Context, answer: &Answer) {
    let output = &context.output;
    output.line("");
    if !answer.citations.is_empty() {
        output.line("This is probably not in your documents: what is cited above is only near to it.");
    } else if !answer.unsupported.is_empty() {
        output.line("Nothing in your documents supports this answer.");
    }
    if !answer.nearest.is_empty() {
        output.line(output.bold("Nearest passages:"));
    }
    for place in &answer.nearest {
        output.line(format!("  {}", linked(output, place)));
    }
}

/// `path:12` or `path page 3`, with the headings above.
pub fn location(place: &Place) -> String {
    let at = match place.page {
        Some(page) => format!(" page {page}"),
        None => format!(":{}", place.line_start),
    };
    let headings = if place.heading_path.is_empty() {
        String::new()
    } else {
        format!("  {}", place.heading_path.join(" > "))
    };
    format!("{}{at}{}", output::place(&place.path), printable(&headings))
}

/// The location, which a terminal that can opens as a file.
fn linked(output: &Output, place: &Place) -> String {
    output.link(&place.path, &output.bold(&location(place)))
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}
