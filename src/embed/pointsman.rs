//! The dispatcher as a part of a program.

use super::answer::{Answer, AnswerStream};
use super::configuration::Configuration;
use super::error::{AskError, StartFailure};
use super::query::Query;
use crate::app::EmbeddedProcess;

use serde_json::Value;

/// A dispatcher that runs in this program, on its tokio runtime, which must have time and I/O. Cheap to clone; when the last
/// clone is dropped it ends by itself, as after [`shut_down`](Self::shut_down), which also waits for that.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pointsman::{Configuration, Pointsman, Query};
///
/// let pointsman = Pointsman::start(&Configuration::demo()?).await?;
/// let answer = pointsman.ask(Query::new("demo", "hello")).await?;
/// println!("{} says {}", answer.upstream().unwrap_or("nobody"), answer.text());
/// pointsman.shut_down().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Pointsman(EmbeddedProcess);

impl Pointsman {
    /// Starts everything that the configuration names. Files are watched and lists of models refreshed as in a process of its
    /// own; signals are left to the program.
    ///
    /// # Errors
    /// What cannot be set up: an address to listen on, a state file, a provider's client.
    pub async fn start(configuration: &Configuration) -> Result<Self, StartFailure> {
        for warning in configuration.warnings() {
            tracing::warn!("{warning}");
        }
        let config = configuration.config();
        let inside = Box::pin(EmbeddedProcess::start(&config, configuration.reader())).await?;
        Ok(Self(inside))
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// [`AskError::Refused`] with a code and what was tried, or why the answer cannot be read.
    pub async fn ask(&self, query: Query) -> Result<Answer, AskError> {
        let (path, headers, body) = query.into_parts();
        let answer = Box::pin(self.0.post(&path, headers, body)).await;
        Answer::read(answer.ok_or(AskError::ShutDown)?).await
    }

    /// Asks, and returns when the answer begins. A query by [`Query::to`] must ask for a stream in the way of its route;
    /// for those whose bodies have `stream` that is set here.
    ///
    /// # Errors
    /// The same as those of [`ask`](Self::ask). A stream that breaks off later says so itself.
    pub async fn stream(&self, query: Query) -> Result<AnswerStream, AskError> {
        let (path, headers, body) = query.streamed().into_parts();
        let answer = Box::pin(self.0.post(&path, headers, body)).await;
        AnswerStream::read(answer.ok_or(AskError::ShutDown)?).await
    }

    /// The whole state as of now: every provider, its keys and their cooldowns, breakers, chains, what is under way. It is what
    /// `GET /admin/v1/state` answers (`docs/admin.md`), and shows no key. Cheap: it reads what actors have published.
    pub fn state(&self) -> Value {
        self.0.state()
    }

    /// Ends in order: takes no more queries, lets what is under way finish for `server.drain_timeout`, ends the rest with an
    /// error, writes the state file. Returns when all that has happened.
    pub async fn shut_down(&self) {
        self.0.end().await;
    }
}
