//! Connections that break where they are told to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: u8 = 0;
const HALF: u8 = 1;
const BROKEN: u8 = 2;

/// A handle to a connection.
#[derive(Clone, Default)]
pub struct Wire(Arc<AtomicU8>);

/// What accepts connections.
pub struct Wires {
    pub listener: TcpListener,
    /// Once this is so, all of them are broken.
    pub is_down: Arc<AtomicBool>,
}

/// A connection.
pub struct Connection {
    stream: TcpStream,
    wire: Wire,
    is_down: Arc<AtomicBool>,
}

impl Wire {
    /// Nothing of the next answer arrives.
    pub fn cut(&self) {
        self.0.store(BROKEN, Ordering::SeqCst);
    }

    /// The beginning of the next answer arrives.
    pub fn cut_in_the_middle(&self) {
        self.0.store(HALF, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Wires>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().wire.clone()
    }
}

impl Listener for Wires {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Connection { stream, wire: Wire::default(), is_down: self.is_down.clone() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// How much of an answer's first bytes is passed on: its head and half of its body, or half of the head where nothing follows.
fn half(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    match head {
        Some(head) if head < bytes.len() => head + (bytes.len() - head) / 2,
        Some(_) | None => bytes.len() / 2,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_down.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.wire.0.load(Ordering::SeqCst) {
            WHOLE => Pin::new(&mut self.stream).poll_write(context, bytes),
            HALF => {
                self.wire.cut();
                let end = half(bytes);
                Pin::new(&mut self.stream).poll_write(context, &bytes[..end])
            }
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
