//! The `docent` command: arguments → settings → run. Exit codes are in [`exit`].

mod args;
mod commands;
mod config;
mod exit;
mod interrupt;
mod memory;
mod output;
mod progress;
mod settings;

use std::process::ExitCode;

use docent_extract::Limits;

use args::{Cli, Color, Command, DebugCommand};
use commands::Context;
use config::Configuration;
use exit::Outcome;
use output::Output;

fn main() -> ExitCode {
    match config::parse(std::env::args_os().collect()).and_then(run) {
        Ok(code) => code,
        Err(error) if error.is::<commands::Interrupted>() => Outcome::Interrupted.into(),
        Err(error) => {
            Output::detect(false, Color::Never).warn(one_sentence(&error));
            ExitCode::from(exit::ERROR)
        }
    }
}

fn run((cli, configuration): (Cli, Configuration)) -> anyhow::Result<ExitCode> {
    let output = Output::detect(cli.common.quiet, cli.common.color);
    let outcome = match &cli.command {
        Command::ExtractWorker => return Ok(extract_worker()),
        Command::Config(command) => commands::config::run(&output, &configuration, command)?,
        Command::Completions(args) => commands::manuals::completions(&output, args),
        Command::Man(args) => commands::manuals::man(&output, args)?,
        Command::Extract(args) => {
            let limits = settings::resolve(&cli.common, None)?.limits;
            commands::extract::run(
                output,
                &Limits { max_bytes: args.max_size, ocr: args.ocr.wanted(), ..limits },
                args,
            )?
        }
        _ => run_with_library(cli)?,
    };
    Ok(outcome.into())
}

fn run_with_library(cli: Cli) -> anyhow::Result<Outcome> {
    let common = &cli.common;
    anyhow::ensure!(
        common.collections.len() < 2 || matches!(cli.command, Command::Search(_)),
        "this command works with one collection; `docent search` looks into several"
    );
    match cli.command {
        Command::Ask(args) => {
            let mut context = Context::new(common, Some(&args.evidence.ingest))?;
            context.library.keep_history(args.history.days());
            commands::ask::run(&context, &args)
        }
        Command::Pack(args) => {
            commands::pack::run(&Context::new(common, Some(&args.evidence.ingest))?, &args)
        }
        Command::History(args) => commands::history::run(&Context::new(common, None)?, &args),
        Command::Search(args) => {
            let context = Context::new(common, Some(&args.ingest))?;
            commands::search::run(&context, &args, &common.collections)
        }
        Command::Add(args) => {
            let mut context = Context::new(common, Some(&args.ingest))?;
            context.library.use_embedding(args.embedding.clone());
            commands::ingest::use_reranking(&mut context, args.rerank.as_deref(), args.ingest.yes)?;
            commands::ingest::add(&context, &args)
        }
        Command::Update(args) => {
            let mut context = Context::new(common, Some(&args.ingest))?;
            context.library.retry_failed(args.retry_failed);
            context.library.use_embedding(args.embedding.clone());
            commands::ingest::use_reranking(&mut context, args.rerank.as_deref(), args.ingest.yes)?;
            commands::ingest::update(&context, &args)
        }
        Command::Watch(args) => commands::watch::run(&Context::new(common, Some(&args.ingest))?, &args),
        Command::Serve(args) => {
            let mut context = Context::new(common, Some(&args.ingest))?;
            context.library.keep_history(args.history.days());
            commands::serve::run(context, &args)
        }
        Command::Collections(args) => commands::collections::run(&Context::new(common, None)?, &args),
        Command::Ls(args) => commands::library::ls(&Context::new(common, None)?, &args),
        Command::Rm(args) => commands::library::rm(&Context::new(common, None)?, &args),
        Command::Show(args) => commands::library::show(&Context::new(common, None)?, &args),
        Command::Status(args) => commands::status::run(&Context::new(common, None)?, &args),
        Command::Models(command) => commands::models::run(&Context::new(common, None)?, command),
        Command::Chat(args) => {
            let mut context = Context::new(common, Some(&args.evidence.ingest))?;
            context.library.keep_history(args.history.days());
            match args.list || args.is_about_documents() {
                true => commands::converse::run(&context, &args),
                false => commands::chat::run(&context, &args),
            }
        }
        Command::Warm(args) => commands::warm::run(&Context::new(common, Some(&args.ingest))?, &args),
        Command::Cache(command) => commands::cache::run(&Context::new(common, None)?, command),
        Command::Mcp(args) => commands::mcp::run(Context::new(common, None)?, &args),
        Command::Doctor(args) => commands::doctor::run(&Context::new(common, None)?, &args),
        Command::Reset(args) => commands::reset::run(&Context::new(common, None)?, &args),
        Command::Eval(args) => commands::eval::run(&Context::new(common, None)?, &args),
        Command::Bench(command) => commands::bench::run(&Context::new(common, None)?, command),
        Command::Debug(command) => {
            let ingest = match &command {
                DebugCommand::Prompt { evidence, .. } => Some(&evidence.ingest),
                _ => None,
            };
            let context = Context::new(common, ingest)?;
            commands::debug::run(&context, command)
        }
        Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Extract(_)
        | Command::ExtractWorker => Ok(Outcome::Done),
    }
}

/// Serves documents until the parent closes standard input.
fn extract_worker() -> ExitCode {
    match docent_extract::run_worker(std::io::stdin(), std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(exit::ERROR), // the parent is gone: nobody to tell
    }
}

/// The error and its causes on one line; a cause that only repeats what was said is left out.
fn one_sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}
