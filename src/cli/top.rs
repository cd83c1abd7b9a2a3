//! `pointsman top`: the live state of a running process in a terminal.
//!
//! `feed` asks the process, `model` knows what there is and where the user is in it, `keys` changes that, `draw` shows it.
//! Here is the loop between them, and the terminal: it is put back as it was, whatever ends the loop.

mod draw;
mod feed;
mod head;
mod keys;
mod look;
mod model;
mod overlay;
mod rows;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use self::feed::Feed;
use self::keys::{Effect, press};
use self::look::Look;
use self::model::{Model, News};
use super::admin::{AdminClient, AdminError};
use super::arguments::Top;
use super::exit::{CANNOT_BIND, SOFTWARE, complain};
use crate::app;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;

/// How soon news, the end of the process and a countdown are shown at the latest.
const BEAT: Duration = Duration::from_millis(100);

/// Why there is nothing to be seen.
#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error("`top` needs a terminal; for a script there is GET /admin/v1/state")]
    NoTerminal,
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the terminal fails")]
    Terminal(#[source] io::Error),
}

pub(super) fn run(arguments: Top) -> ExitCode {
    match show(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::from(match error {
                TopError::Admin(_) => CANNOT_BIND,
                TopError::NoTerminal | TopError::Terminal(_) => SOFTWARE,
            })
        }
    }
}

fn show(arguments: Top) -> Result<(), TopError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let client = AdminClient::new(arguments.side)?;
    let mut model = Model::new(client.address().to_string());
    // What is wrong with address or token is better said without a screen.
    model.hear(feed::look(&client)?);
    let look = Look::new(std::env::var("NO_COLOR").ok().as_deref());
    let told_to_end = signals().map_err(TopError::Terminal)?;
    let feed = feed::start(client);
    // It also puts the terminal back when something panics.
    let terminal = ratatui::try_init().map_err(TopError::Terminal);
    let ended = terminal.and_then(|mut terminal| {
        let ended = stay(&mut terminal, &mut model, &feed, look, &told_to_end);
        ended.map_err(TopError::Terminal)
    });
    let restored = ratatui::try_restore().map_err(TopError::Terminal);
    ended.and(restored)
}

/// Until the user, or a signal, says that it is enough.
fn stay(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    feed: &Feed,
    look: Look,
    told_to_end: &AtomicBool,
) -> io::Result<()> {
    let clock = Clock::start();
    let mut heard = clock.now();
    while !told_to_end.load(Ordering::Relaxed) {
        for news in feed.news.try_iter() {
            if matches!(news, News::Look { .. }) {
                heard = clock.now();
            }
            model.hear(news);
        }
        model.age = age(&clock, heard);
        model.page = draw::page(terminal.get_frame().area(), model.pane);
        terminal.draw(|frame| draw::draw(frame, model, look))?;
        // All that was typed, then one look.
        let mut wait = BEAT;
        while event::poll(wait)? {
            wait = Duration::ZERO;
            let Event::Key(key) = event::read()? else {
                continue;
            };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match press(model, key) {
                Some(Effect::Quit) => return Ok(()),
                // The thread is there as long as this is.
                Some(wish) => drop(feed.wishes.send(wish)),
                None => {}
            }
        }
    }
    Ok(())
}

fn age(clock: &Clock, heard: Time) -> f64 {
    clock.now().since(heard).as_secs_f64()
}

/// Becomes true with the first signal that ends processes.
fn signals() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    let mut all = {
        let _inside = runtime.enter();
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ];
        let [terminate, interrupt, hangup] = kinds.map(signal);
        (terminate?, interrupt?, hangup?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                _ = all.0.recv() => {}
                _ = all.1.recv() => {}
                _ = all.2.recv() => {}
            }
        });
        flag.store(true, Ordering::Relaxed);
    });
    Ok(told)
}

#[cfg(test)]
mod tests;
