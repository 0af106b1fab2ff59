//! An answer's body on its way through: counted, and ended early where that is the fault.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use super::proxy::Shared;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body that tells the log how much of it has passed.
pub(super) struct Tap {
    inner: Option<Incoming>,
    shared: Arc<Shared>,
    /// The request's place in the log.
    index: usize,
    cut: Option<Cut>,
    /// Rung when a test ends the watch that this is.
    ended: Option<oneshot::Receiver<()>>,
    /// Told when the last of it was handed on.
    last: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// Where a watch is ended, and its last words.
pub(super) struct Cut {
    pub(super) events: usize,
    pub(super) words: Option<String>,
}

impl Tap {
    pub(super) fn new(
        inner: Incoming,
        shared: Arc<Shared>,
        index: usize,
        cut: Option<Cut>,
        last: Option<Box<dyn FnOnce() + Send + Sync>>,
    ) -> Self {
        let ended = shared.watched(index);
        Self {
            inner: Some(inner),
            shared,
            index,
            cut,
            ended,
            last,
        }
    }

    fn end(&mut self) {
        self.inner = None;
        self.shared
            .noted(self.index, |request| request.finished = true);
        if let Some(last) = self.last.take() {
            last();
        }
    }

    /// Takes as many events as may pass; true when there are no more to come.
    fn shorten(&mut self, data: &mut Bytes) -> bool {
        let Some(cut) = &mut self.cut else {
            return false;
        };
        let mut passed = 0;
        while cut.events > 0 {
            let Some(end) = data[passed..].iter().position(|byte| *byte == b'\n') else {
                return false;
            };
            passed += end + 1;
            cut.events -= 1;
        }
        data.truncate(passed);
        true
    }
}

impl Body for Tap {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.cut.as_ref().is_some_and(|cut| cut.events == 0) {
            let words = self.cut.take().and_then(|cut| cut.words);
            self.end();
            return Poll::Ready(words.map(|words| Ok(Frame::data(words.into()))));
        }
        if let Some(ended) = self.ended.as_mut()
            && Pin::new(ended).poll(context).is_ready()
        {
            self.ended = None;
            self.end();
            return Poll::Ready(None);
        }
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(&mut *inner).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                // The server broke off: so does the proxy, and the log says unfinished.
                self.inner = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            None => {
                self.end();
                return Poll::Ready(None);
            }
        };
        let ended = inner.is_end_stream();
        let Ok(mut data) = frame.into_data() else {
            return self.poll_frame(context);
        };
        self.shorten(&mut data);
        let size = data.len() as u64;
        self.shared
            .noted(self.index, |request| request.received += size);
        if ended {
            self.end();
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        let over = self.inner.as_ref().is_none_or(Body::is_end_stream);
        over && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.cut) {
            (Some(inner), None) => inner.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
