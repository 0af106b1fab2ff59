//! Waiting until the objects of a collection are as they are to be: list, watch, list again.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::error::ClientError;
use super::list::ListRequest;
use super::objects::{Objects, key};
use super::watch::{WatchEvent, WatchRequest};

/// How long one watch lasts: so long a connection that died without a word goes unnoticed.
const WATCH: Duration = Duration::from_secs(30);
/// The pause after a round that told nothing new: it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause between two rounds.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a list may take when the time is over.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Waited<T> {
    /// What was waited for is so.
    Met(T),
    /// The time is over; this is how the objects last were.
    Over(Objects),
}

impl Client {
    /// Waits until `judge` is satisfied with the objects of a collection, or `within` is over. It is
    /// asked after the first list and after each change.
    ///
    /// A watch that ends or expires is begun anew with a list; where watching is not allowed, the list
    /// is repeated. A failure that may pass is waited out, and reported only if it still stands at
    /// the end; a missing right to list is reported at once.
    pub async fn wait_for<T: Send>(
        &self,
        request: &ListRequest,
        within: Duration,
        judge: &mut (dyn FnMut(&Objects) -> Option<T> + Send),
    ) -> Result<Waited<T>, ClientError> {
        let end = Instant::now() + within;
        let mut may_watch = true;
        let mut pause = FIRST;
        loop {
            let mut objects = Objects::new();
            let began = Instant::now();
            let by = end.max(began + LAST_LOOK);
            let listed = self.list_into(request, &mut objects);
            let listed = tokio::time::timeout_at(by, listed).await;
            let listed = listed.unwrap_or_else(|_| {
                Err(ClientError::Timeout {
                    what: request.what(),
                    server: self.server.clone(),
                    after: by - began,
                })
            });
            let failure = match listed {
                Ok(listed) => {
                    if let Some(met) = judge(&objects) {
                        return Ok(Waited::Met(met));
                    }
                    let left = end.saturating_duration_since(Instant::now());
                    if may_watch && !left.is_zero() {
                        let watch = WatchRequest {
                            list: request.clone(),
                            resource_version: listed.resource_version,
                            within: left.min(WATCH),
                        };
                        let watched = self.judged(&watch, end, &mut objects, judge).await;
                        match watched {
                            Ok(Some(met)) => return Ok(Waited::Met(met)),
                            Ok(None) | Err(ClientError::Expired { .. }) => {}
                            Err(error) => may_watch = passes(&error),
                        }
                    }
                    None
                }
                Err(error) if passes(&error) => Some(error),
                Err(error) => return Err(error),
            };
            if began.elapsed() >= WATCH {
                pause = FIRST;
            }
            let now = Instant::now();
            if now >= end {
                return match failure {
                    Some(error) => Err(error),
                    None => Ok(Waited::Over(objects)),
                };
            }
            tokio::time::sleep_until((now + pause).min(end)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Watches until `judge` is satisfied or the watch ends.
    async fn judged<T: Send>(
        &self,
        watch: &WatchRequest,
        end: Instant,
        objects: &mut Objects,
        judge: &mut (dyn FnMut(&Objects) -> Option<T> + Send),
    ) -> Result<Option<T>, ClientError> {
        let mut met = None;
        let mut take = |event| {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    objects.insert(key(&object), object);
                }
                WatchEvent::Deleted(object) => drop(objects.remove(&key(&object))),
                WatchEvent::Bookmark(_) => return ControlFlow::Continue(()),
            }
            met = judge(objects);
            if met.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match tokio::time::timeout_at(end, self.watch(watch, &mut take)).await {
            Ok(Ok(())) | Err(_) => Ok(met),
            Ok(Err(error)) => Err(error),
        }
    }
}

/// Whether a failure is one that a wait waits out.
fn passes(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Unreachable { .. }
            | ClientError::Timeout { .. }
            | ClientError::Throttled { .. }
            | ClientError::Expired { .. }
            | ClientError::Server { code: 500.., .. }
    )
}
