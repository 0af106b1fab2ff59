//! The bytes on their way to the client: counted, and cut or held at a chosen place.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::rule::At;

/// Steers one connection; shared between it and the requests that come over it.
#[derive(Debug, Default)]
pub(super) struct Control(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    stop: Option<Stop>,
    /// Rung when all that was written has left.
    flushed: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Clone)]
struct Stop {
    /// Bytes that may still pass once the head is over; in the middle of the head before that.
    left: u64,
    within_head: bool,
    stall: bool,
    /// How much of the empty line that ends the head was seen.
    end_of_head: usize,
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";
/// As much of a head as is sent of one that breaks off: `HTTP/1.1 200`.
const SOME_OF_HEAD: u64 = 12;

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was meant for the answer before.
    pub(super) fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Has the next answer break at this place.
    pub(super) fn break_at(&self, at: At, stall: bool) {
        let (left, within_head) = match at {
            At::Request | At::Answer => (0, true),
            At::Head => (SOME_OF_HEAD, true),
            At::Body => (0, false),
            At::BodyAfter(bytes) => (bytes, false),
        };
        self.lock().stop = Some(Stop {
            left,
            within_head,
            stall,
            end_of_head: 0,
        });
    }

    /// Tells when all that is written next has left.
    pub(super) fn when_flushed(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.lock().flushed = Some(sender);
        receiver
    }
}

impl Stop {
    /// How many of these bytes may pass.
    fn allow(&mut self, bytes: &[u8]) -> usize {
        if self.within_head {
            return self.take(bytes.len());
        }
        let mut head = 0;
        while self.end_of_head < EMPTY_LINE.len() {
            let Some(byte) = bytes.get(head) else {
                return head;
            };
            head += 1;
            self.end_of_head = if *byte == EMPTY_LINE[self.end_of_head] {
                self.end_of_head + 1
            } else {
                usize::from(*byte == EMPTY_LINE[0])
            };
        }
        head + self.take(bytes.len() - head)
    }

    fn take(&mut self, wanted: usize) -> usize {
        let allowed = self.left.min(wanted as u64);
        self.left -= allowed;
        usize::try_from(allowed).unwrap_or(wanted)
    }
}

/// A connection whose output obeys a [`Control`].
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    control: Arc<Control>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, control: Arc<Control>) -> Self {
        Self { stream, control }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, control } = self.get_mut();
        let mut state = control.lock();
        let Some(stop) = state.stop.as_mut() else {
            drop(state);
            return Pin::new(stream).poll_write(context, bytes);
        };
        // What passed is not to be held back by a layer below.
        ready!(Pin::new(&mut *stream).poll_flush(context))?;
        match stop.clone().allow(bytes) {
            0 if stop.stall => Poll::Pending,
            0 => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            allowed => {
                let taken = ready!(Pin::new(stream).poll_write(context, &bytes[..allowed]))?;
                stop.allow(&bytes[..taken]);
                Poll::Ready(Ok(taken))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, control } = self.get_mut();
        ready!(Pin::new(stream).poll_flush(context))?;
        if let Some(flushed) = control.lock().flushed.take() {
            let _ = flushed.send(());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, control } = self.get_mut();
        if control.lock().stop.is_some() {
            // A cut connection says no goodbye: not even TLS's.
            return Poll::Ready(Ok(()));
        }
        Pin::new(stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(at: At, writes: &[&str]) -> Vec<usize> {
        let control = Control::default();
        control.break_at(at, false);
        let mut state = control.lock();
        let stop = state.stop.as_mut().unwrap();
        let writes = writes.iter();
        writes.map(|bytes| stop.allow(bytes.as_bytes())).collect()
    }

    #[test]
    fn bytes_pass_up_to_the_place() {
        let head = "HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        assert_eq!(passes(At::Answer, &[head]), [0]);
        assert_eq!(passes(At::Head, &[head]), [12]);
        assert_eq!(passes(At::Body, &[head, "body"]), [head.len(), 0]);
        let both = format!("{head}body");
        assert_eq!(passes(At::Body, &[&both]), [head.len()]);
        assert_eq!(
            passes(At::BodyAfter(3), &[&both, "more"]),
            [head.len() + 3, 0]
        );
        let (one, two) = both.split_at(head.len() - 2);
        assert_eq!(passes(At::BodyAfter(1), &[one, two]), [one.len(), 3]);
    }
}
