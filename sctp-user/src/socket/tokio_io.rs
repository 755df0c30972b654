//! Streams as tokio's `AsyncRead` and `AsyncWrite`, like `io::Read` and `io::Write`: bytes without message boundaries.
//!
//! Everything else in tasks is in `asynchronous`, and needs no tokio.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SctpStream;
use super::one_to_one::WRITE_MAX;

impl AsyncRead for SctpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut rest = self.rest();
        if rest.is_empty() {
            match ready!(self.poll_recv(cx))? {
                Some((_, message)) => *rest = message,
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..n).unwrap_or_default());
        rest.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SctpStream {
    /// A message on the stream that [`DefaultSndInfo`](super::option::DefaultSndInfo) names.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let part = buf.get(..WRITE_MAX).unwrap_or(buf);
        if part.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let info = self.handle.with(|node, _| node.default_send(self.id))?;
        ready!(self.poll_send(cx, &Bytes::copy_from_slice(part), &info))?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Begins the graceful shutdown; [`SctpStream::close_async`] waits for its end.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown())
    }
}
