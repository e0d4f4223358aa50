//! `/mcp`: the Model Context Protocol over HTTP, in turn with all other questions.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use docent::{AskOptions, Rerank};
use docent_mcp::{Options, Turns, Work};

use crate::app::App;
use crate::problem::Problem;

/// Clients of the protocol share a lane of the queue: a program that serves many people speaks for all of them.
const LANE: &str = "mcp";

/// The route, for the collection that the server was started with.
///
/// # Errors
/// That collection cannot be had.
pub(crate) fn routes(app: &App) -> Result<Router, Problem> {
    let ask = AskOptions { model: app.model(None)?, ..AskOptions::default() };
    let options = Options { ask, rerank: Rerank::AsSet };
    let server = docent_mcp::Server::new(app.library(None)?, options, Arc::new(InTurn(app.clone())));
    Ok(Router::new().route_service("/mcp", docent_mcp::http(server, app.limits().body_bytes)))
}

struct InTurn(App);

impl Turns for InTurn {
    fn look_up(&self, work: Work) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async move {
            let done = self.0.search(move || -> Result<(), Problem> {
                work();
                Ok(())
            });
            done.await.map_err(|problem| problem.message)
        })
    }

    fn ask(&self, work: Work) -> Result<Box<dyn Any + Send>, String> {
        let running = self.0.ask::<()>(LANE, move |_cancel, _emit| work());
        running.map(|running| Box::new(running) as Box<dyn Any + Send>).map_err(|problem| problem.message)
    }
}
