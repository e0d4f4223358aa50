//! Connections: so many at once, with patience for slow clients, and an end for those that stall.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};

use crate::app::App;
use crate::beside::{Door, Stream};
use crate::guard::Peer;
use crate::settings::Limits;

/// Time until a failed `accept` is tried again: out of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients come in.
pub(crate) struct Entrances {
    pub tcp: TcpListener,
    /// For commands of the same user.
    pub door: Option<Door>,
}

impl Entrances {
    /// The next connection, and where it comes from.
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        let own = async {
            match &self.door {
                Some(door) => door.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.tcp.accept() => {
                let (stream, address) = accepted?;
                let _ = stream.set_nodelay(true); // events are small, and each is wanted at once
                let stream: Box<dyn Stream> = Box::new(stream);
                Ok((stream, Peer::Address(address)))
            }
            accepted = own => Ok((accepted?, Peer::Own)),
        }
    }
}

/// Serves `router` until `stop` ends, then lets what runs finish for a while.
pub(crate) async fn serve(entrances: Entrances, router: Router, app: &App, stop: impl Future<Output = ()>) {
    let Limits { patience, stalled, n_connections, farewell, .. } = app.limits().clone();
    let places = Arc::new(Semaphore::new(n_connections));
    let graceful = GracefulShutdown::new();
    let service = Arc::new(TowerToHyperService::new(router));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience);
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((entrances.accept().await, place))
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = next => accepted,
        };
        let (stream, peer, place) = match accepted {
            Some((Ok((stream, peer)), place)) => (stream, peer, place),
            Some((Err(error), _)) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
                continue;
            }
            None => break,
        };
        let service = service.clone();
        let with_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let io = TokioIo::new(Patient { stream, stalled: None, most: stalled });
        let connection = graceful.watch(builder.serve_connection(io, with_peer));
        let app = app.clone();
        app.metrics().connections(n_connections - places.available_permits());
        let places = places.clone();
        tokio::spawn(async move {
            let _ = connection.await; // a client that went away, or stalled
            drop(place);
            app.metrics().connections(n_connections - places.available_permits());
        });
    }
    drop(entrances);
    let _ = tokio::time::timeout(farewell, graceful.shutdown()).await;
}

/// A stream whose writer gives up when nobody has taken anything for a while.
struct Patient {
    stream: Box<dyn Stream>,
    stalled: Option<Pin<Box<Sleep>>>,
    most: Duration,
}

impl Patient {
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let most = self.most;
        let deadline = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
