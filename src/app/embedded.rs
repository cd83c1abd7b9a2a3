//! A process inside of another program: the same life, without signals, and requests that come over no connection.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::mpsc;

use super::error::StartError;
use super::orders::Orders;
use super::reader::ConfigReader;
use super::run::{served, started};
use crate::admin::AdminState;
use crate::api::{self, Api, DirectAnswer};
use crate::config::Config;
use crate::listener::{Drain, Passed};
use crate::runtime::task;

/// A process that this program started. It ends in order when the last clone of this is dropped.
#[derive(Clone)]
pub(crate) struct EmbeddedProcess {
    api: Arc<Api>,
    admin: Arc<AdminState>,
    drain: Drain,
    /// Closed when the process has ended.
    end: mpsc::Sender<()>,
}

impl EmbeddedProcess {
    /// Starts everything on the current runtime.
    ///
    /// # Errors
    /// Whatever keeps a process from starting.
    pub(crate) async fn start(config: &Config, read: ConfigReader) -> Result<Self, StartError> {
        let started = Box::pin(started(config, &mut Passed::default(), &read)).await?;
        let (end, ended) = mpsc::channel(1);
        let app = &started.app;
        let inside = Self {
            api: Arc::clone(&app.api),
            admin: Arc::clone(&app.admin),
            drain: app.listening.drain.clone(),
            end,
        };
        task::detach(async move {
            Box::pin(served(started, Orders::Program(ended), &read)).await;
        });
        Ok(inside)
    }

    /// Sends a `POST`; `None` once the shutdown has begun.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<DirectAnswer> {
        // Before the look whether it is draining: a shutdown that begins now waits for this request.
        let open = self.drain.handle();
        if self.end.is_closed() || self.admin.is_draining() {
            return None;
        }
        let answer = api::post(&self.api, path, headers, body).await;
        Some(answer.holding(open))
    }

    /// The whole state, as of now.
    pub(crate) fn state(&self) -> Value {
        self.admin.snapshot()
    }

    /// Ends it in order, and completes when it has ended.
    pub(crate) async fn end(&self) {
        // Where the channel is full it was told before, where it is closed it has ended.
        let _ = self.end.try_send(());
        self.end.closed().await;
    }
}

impl fmt::Debug for EmbeddedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedProcess")
    }
}
