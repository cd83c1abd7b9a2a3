//! Asks the process once a second what there is to show, and in between for what the user wants: a thread of its own, so
//! that a process that does not answer never holds the screen up.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::keys::Effect;
use super::model::{HoldCommand, ModelUpdate};
use crate::app;
use crate::cli::admin::{AdminClient, AdminError};

/// The interval between two requests for the state.
const EVERY: Duration = Duration::from_secs(1);
/// Figures of upstreams change slowly and may be long: with one look of so many.
const FIGURES_EVERY: u32 = 5;
/// Requests that are listed.
const REQUESTS: &str = "/admin/v1/requests?limit=50";

/// The other ends of the thread's channels. It ends when they are gone.
pub(super) struct FeedLink {
    pub(super) wishes: Sender<Effect>,
    pub(super) news: Receiver<ModelUpdate>,
}

/// What the process shows now; `with_figures`: also what was spent and what policies rank by.
///
/// # Errors
/// It does not answer, or not as it should.
pub(super) fn look(client: &AdminClient, with_figures: bool) -> Result<ModelUpdate, AdminError> {
    let figures = |path: &str| match with_figures {
        true => if_known(client.get(path)).map(|known| known.map(Box::new)),
        false => Ok(None),
    };
    Ok(ModelUpdate::Look {
        state: client.get("/admin/v1/state")?,
        history: if_known(client.get("/admin/v1/history"))?,
        requests: if_known(client.get(REQUESTS))?,
        routing: figures("/admin/v1/routing")?,
        spend: figures("/admin/v1/spend?days=1")?,
    })
}

/// A part that an older process does not have is left out.
fn if_known(answer: Result<Value, AdminError>) -> Result<Option<Value>, AdminError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(AdminError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Starts the thread that requests the state.
pub(super) fn start(client: AdminClient) -> FeedLink {
    let (wishes, wanted) = mpsc::channel();
    let (tell, news) = mpsc::channel();
    thread::spawn(move || ask(&client, &wanted, &tell));
    FeedLink { wishes, news }
}

fn ask(client: &AdminClient, wanted: &Receiver<Effect>, tell: &Sender<ModelUpdate>) {
    let mut looks: u32 = 0;
    loop {
        let news = match wanted.recv_timeout(EVERY) {
            Ok(Effect::Quit) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Effect::Show(id)) => {
                let path = format!("/admin/v1/requests/{}", encoded(&id));
                let shown = client.get(&path).map_err(|error| app::chain(&error));
                ModelUpdate::Request(id, shown)
            }
            Ok(Effect::Do(order)) => ModelUpdate::Done(carry_out(client, &order)),
            Err(RecvTimeoutError::Timeout) => ModelUpdate::Done(Ok(String::new())),
        };
        looks = looks.wrapping_add(1);
        let look = look(client, looks.is_multiple_of(FIGURES_EVERY));
        let look = look.unwrap_or_else(|error| ModelUpdate::Lost(app::chain(&error)));
        // A request for the state is not the result of a command.
        let idle = matches!(&news, ModelUpdate::Done(Ok(said)) if said.is_empty());
        let told = (idle || tell.send(news).is_ok()) && tell.send(look).is_ok();
        if !told {
            return;
        }
    }
}

fn carry_out(client: &AdminClient, order: &HoldCommand) -> Result<String, String> {
    let provider = encoded(&order.provider);
    let (verb, done) = if order.hold {
        ("hold", "is held until it is released")
    } else {
        ("release", "is released")
    };
    let path = match order.key {
        Some(number) => format!("/admin/v1/providers/{provider}/keys/{number}/{verb}"),
        None => format!("/admin/v1/providers/{provider}/{verb}"),
    };
    match client.post(&path, &json!({})) {
        Ok(_) => Ok(format!("{} {done}", order.target())),
        Err(error) => Err(app::chain(&error)),
    }
}

/// A part of a path.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_path() {
        assert_eq!(encoded("groq#1 a/b?ü"), "groq%231%20a%2Fb%3F%C3%BC");
    }
}
