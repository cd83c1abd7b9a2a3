//! The scripted upstream: plays what the world says, and tells the state what the dispatcher saw of it.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::header;
use pointsman::upstream::{SendError, Transport, UpstreamRequest, UpstreamResponse};

use super::calls::PLANTED;
use super::flood::Flood;
use super::model::Spot;
use super::script::{Act, Mark, Step};
use super::state::Shared;

/// One provider's API.
pub struct Scripted {
    pub maker: usize,
    pub shared: Shared,
}

/// A call being played. Dropping it is how the dispatcher lets go.
struct Playing {
    shared: Shared,
    attempt: u32,
    steps: std::vec::IntoIter<Step>,
    flood: Option<Flood>,
}

impl Playing {
    async fn next(&mut self) -> Option<Act> {
        self.shared.lock().awaited(self.attempt);
        let Some(step) = self.steps.next() else {
            return self.flood().await;
        };
        if !step.after.is_zero() {
            tokio::time::sleep(step.after).await;
        }
        if matches!(step.act, Act::Hang) {
            std::future::pending::<()>().await;
        }
        self.deliver(step.act, step.mark)
    }

    /// What comes when all steps have been played: nothing, or the same for ever.
    async fn flood(&mut self) -> Option<Act> {
        let flood = self.flood.as_mut()?;
        let pause = self.shared.lock().pause_of(self.attempt, flood);
        let (act, mark) = match pause {
            Some(pause) => flood.next(pause).await,
            None => std::future::pending().await,
        };
        self.deliver(act, mark)
    }

    fn deliver(&self, act: Act, mark: Mark) -> Option<Act> {
        let bytes = match &act {
            Act::Chunk(bytes) => bytes.len(),
            _ => 0,
        };
        self.shared.lock().delivered(self.attempt, mark, bytes);
        Some(act)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.shared.lock().gone(self.attempt);
    }
}

impl Transport for Scripted {
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let body = String::from_utf8_lossy(call.body.bytes().map_or(&[][..], |body| body));
        let request = number(&body, "\"user\":\"r");
        let model = number(&body, "\"model\":\"m");
        let key = call
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let spot = Spot {
            maker: self.maker,
            key: key_number(key.unwrap_or_default()) as usize,
            model: model as usize,
        };
        let sent = sent(&body);
        let (attempt, script) = self.shared.lock().start(request, spot, sent.as_deref());
        let mut playing = Playing {
            shared: self.shared.clone(),
            attempt,
            steps: script.steps.into_iter(),
            flood: script.flood,
        };
        Box::pin(async move {
            match playing.next().await {
                Some(Act::Head(status, headers)) => {
                    let kind = headers
                        .get(header::CONTENT_TYPE)
                        .map(|kind| kind.as_bytes());
                    let as_events =
                        (200..300).contains(&status) && kind == Some(b"text/event-stream");
                    playing.shared.lock().head(attempt, as_events);
                    let body = futures_util::stream::unfold(playing, |mut playing| async {
                        match playing.next().await {
                            Some(Act::Chunk(bytes)) => Some((Ok(bytes), playing)),
                            Some(Act::Break) => {
                                Some((Err(SendError::Broken("reset".to_owned())), playing))
                            }
                            _ => None,
                        }
                    });
                    Ok(UpstreamResponse {
                        status,
                        headers,
                        body: body.boxed(),
                    })
                }
                Some(Act::Refuse) => Err(SendError::Connect("refused".to_owned())),
                Some(Act::ConnectTimeout) => Err(SendError::ConnectTimeout("no answer".to_owned())),
                _ => Err(SendError::Broken("reset".to_owned())),
            }
        })
    }
}

/// The beginning of an answer that is to be gone on from.
fn sent(body: &str) -> Option<String> {
    if !body.contains("assistant") {
        return None;
    }
    let doc: serde_json::Value = serde_json::from_str(body).ok()?;
    let last = doc.get("messages")?.as_array()?.last()?;
    let is_answer = last.get("role")? == "assistant";
    is_answer.then(|| last.get("content")?.as_str().map(str::to_owned))?
}

/// The number of the key whose material this is.
fn key_number(header: &str) -> u32 {
    let material = header.split_once(PLANTED).map_or("", |(_, rest)| rest);
    number(material, "-")
}

/// The digits behind `lead`.
fn number(text: &str, lead: &str) -> u32 {
    let rest = text.split_once(lead).map_or("", |(_, rest)| rest);
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().unwrap_or(u32::MAX)
}
