//! The server's end of the socket.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};

use super::socket;

/// A connection, whatever it came through.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The socket, which goes with it.
pub(crate) struct Door {
    #[cfg(unix)]
    listener: Listener,
    path: PathBuf,
}

#[cfg(unix)]
enum Listener {
    Made(std::os::unix::net::UnixListener),
    Polled { listener: tokio::net::UnixListener, user: u32 },
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Door {
    /// Makes the socket of the home whose data are in `dir`. The caller holds the home's lock.
    #[cfg(unix)]
    pub fn make(dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = socket(dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        let door = Self { listener: Listener::Made(listener), path };
        std::fs::set_permissions(&door.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(door)
    }

    #[cfg(not(unix))]
    pub fn make(_dir: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Begins to listen; within the event loop.
    #[cfg(unix)]
    pub fn opened(mut self) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        if let Listener::Made(made) = &self.listener {
            let user = std::fs::metadata(&self.path)?.uid();
            let made = made.try_clone()?;
            made.set_nonblocking(true)?;
            let listener = tokio::net::UnixListener::from_std(made)?;
            self.listener = Listener::Polled { listener, user };
        }
        Ok(self)
    }

    #[cfg(not(unix))]
    pub fn opened(self) -> io::Result<Self> {
        Ok(self)
    }

    /// The next connection of the same user. Others cannot connect; one who did so before the socket was closed to them is hung up on.
    pub async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        #[cfg(unix)]
        {
            while let Listener::Polled { listener, user } = &self.listener {
                let (stream, _) = listener.accept().await?;
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == *user) {
                    return Ok(Box::new(stream));
                }
            }
        }
        std::future::pending().await
    }
}
