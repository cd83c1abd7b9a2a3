//! Reads what is left of an answer that has ended, so that its connection can be used again: the HTTP client keeps a
//! connection only when it has seen the end of the body, and that often comes moments after the end mark.

use std::time::Duration;

use futures_util::future::FutureExt;

use super::events::Events;
use crate::runtime::task;

/// How long to wait for the end of a body: a new connection takes less than a second.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many bytes to read for it at most, for the same reason.
const MOST: usize = 64 * 1024;
/// What a piece counts for at least, in bytes: HTTP/2 has empty ones, and they may come without end.
const LEAST: usize = 64;

/// Reads the remaining `events` in the background, unless they are complete.
pub(super) fn drain(mut events: Events) {
    // Mostly the end came along with the end mark: then no task is needed.
    let mut left = MOST;
    loop {
        match events.next_bytes().now_or_never() {
            Some(None) => return,
            Some(Some(bytes)) => match left.checked_sub(bytes.max(LEAST)) {
                Some(rest) => left = rest,
                None => return,
            },
            None => break,
        }
    }
    task::detach(async move {
        let rest = async {
            while let Some(bytes) = events.next_bytes().await {
                match left.checked_sub(bytes.max(LEAST)) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // Too late is no failure: the connection is closed, as it would be without this.
        drop(tokio::time::timeout(PATIENCE, rest).await);
    });
}
