//! `serve`: the library over HTTP, until Ctrl-C.

use std::path::Path;

use anyhow::Context as _;
use docent_serve::{Limits, ServeSettings, Server};

use super::Context;
use crate::args::{LogFormat, ServeArgs};
use crate::exit::Outcome;

pub fn run(context: Context, args: &ServeArgs) -> anyhow::Result<Outcome> {
    let Context { library, output, interrupt, .. } = context;
    let token = args.token_file.as_deref().map(|file| read_token(file, &output)).transpose()?;
    let roots = args.roots.iter().map(|root| {
        root.canonicalize()
            .with_context(|| format!("{}: name a folder that is there with --root", root.display()))
    });
    let settings = ServeSettings {
        listen: args.listen,
        token,
        hosts: args.hosts.clone(),
        roots: roots.collect::<anyhow::Result<_>>()?,
        model: args.model.clone(),
        watch: args.watch,
        limits: Limits {
            upload_bytes: usize::try_from(args.max_upload).unwrap_or(usize::MAX),
            ..Limits::default()
        },
    };
    if !output.quiet {
        start_log(args.log);
    }
    let server = Server::bind(library, settings)?;
    // The address is this command's result: with port 0 nobody else knows it.
    output.line(format!("http://{}", server.address()));
    output.note("Ctrl-C ends");
    server.run(interrupt.cancel())?;
    Ok(Outcome::Done)
}

/// The first line of a file that nobody else may read.
fn read_token(file: &Path, output: &crate::output::Output) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("--token-file {}", file.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o077 != 0 {
            output.warn(format!(
                "others on this machine may read {0}; `chmod 600 {0}` keeps it yours",
                file.display()
            ));
        }
    }
    let token = text.lines().next().unwrap_or_default().trim();
    let name = file.display();
    anyhow::ensure!(!token.is_empty(), "{name} is empty; `openssl rand -hex 32 > {name}` fills it");
    Ok(token.to_owned())
}

/// One line a request on standard error. It has no question, no answer and no document's name in it.
fn start_log(format: LogFormat) {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO);
    // The level and place of a line in the code say nothing to whoever runs this.
    match format {
        LogFormat::Text => lines.with_ansi(false).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_target(false).init(),
        LogFormat::Off => (),
    }
}
