//! Connections, as far as HTTP libraries hide them: how a header was spelled, and how to cut one off.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What a handler can see and do of its connection.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    spelled: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
}

impl Wire {
    /// Whether the last request's header was spelled `On-Behalf-Of`. Connections carry one request at a
    /// time, so what was read last is the request that is being answered.
    pub fn is_title_case(&self) -> bool {
        self.spelled.load(Ordering::Relaxed)
    }

    /// Closes the connection without another byte.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}

/// Accepts connections that can be looked at and cut.
pub(crate) struct WireListener(pub TcpListener);

pub(crate) struct WireStream {
    stream: TcpStream,
    wire: Wire,
}

impl Listener for WireListener {
    type Io = WireStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.0.accept().await {
                return (WireStream { stream, wire: Wire::default() }, address);
            }
            tokio::task::yield_now().await;
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        stream.io().wire.clone()
    }
}

impl AsyncRead for WireStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = &read {
            let new = &buffer.filled()[before..];
            let has = |name: &[u8]| new.windows(name.len()).any(|window| window == name);
            if has(b"\r\nOn-Behalf-Of:") {
                self.wire.spelled.store(true, Ordering::Relaxed);
            } else if new.windows(14).any(|window| window.eq_ignore_ascii_case(b"\non-behalf-of:")) {
                self.wire.spelled.store(false, Ordering::Relaxed);
            }
        }
        read
    }
}

impl WireStream {
    fn is_cut(&self) -> Option<Poll<io::Result<usize>>> {
        let cut = self.wire.cut.load(Ordering::Relaxed);
        cut.then(|| Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset))))
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.is_cut() {
            Some(cut) => cut,
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
