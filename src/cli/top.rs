//! `pointsman top`: the live state of a running process in a terminal.
//!
//! `feed` asks the process, `model` knows what there is and where the user is in it, `keys` changes that, `draw` shows it.
//! Here is the loop between them, and the terminal: it is put back as it was, whatever ends the loop.

mod draw;
mod feed;
mod figures;
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
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use self::feed::FeedLink;
use self::keys::{Effect, press};
use self::look::Theme;
use self::model::{ModelUpdate, TopModel};
use super::admin::{AdminClient, AdminError};
use super::arguments::Top;
use super::exit::{CANNOT_BIND, SOFTWARE, complain};
use crate::app;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;

/// How soon news, the end of the process and a countdown are shown at the latest.
const BEAT: Duration = Duration::from_millis(100);

/// How long the screen may take to restore the terminal after it was asked to end.
const GRACE: Duration = Duration::from_millis(400);

/// Why the screen cannot be shown.
#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error("`top` needs a terminal; for a script there is GET /admin/v1/state")]
    NoTerminal,
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the terminal fails")]
    Terminal(#[source] io::Error),
    #[error("the screen failed; please report the message above")]
    Screen,
}

pub(super) fn run(arguments: Top) -> ExitCode {
    match show(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::from(match error {
                TopError::Admin(_) => CANNOT_BIND,
                TopError::NoTerminal | TopError::Terminal(_) | TopError::Screen => SOFTWARE,
            })
        }
    }
}

fn show(arguments: Top) -> Result<(), TopError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let client = AdminClient::new(arguments.side)?;
    let mut model = TopModel::new(client.address().to_string());
    // A wrong address or token is reported before the screen is drawn.
    model.hear(feed::look(&client, true)?);
    let look = Theme::new(std::env::var("NO_COLOR").ok().as_deref());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(TopError::Terminal)?;
    let told = {
        let _inside = runtime.enter();
        ExitSignals::new().map_err(TopError::Terminal)?
    };
    let feed = feed::start(client);
    let told_to_end = Arc::new(AtomicBool::new(false));
    let (tell, mut ended) = oneshot::channel();
    let flag = Arc::clone(&told_to_end);
    // A thread of its own: reading from a terminal that is gone, or one that stopped in the middle of a key's bytes,
    // does not come back.
    std::thread::spawn(move || {
        let ended = on_screen(&mut model, &feed, look, &flag);
        // There may be no receiver any more.
        drop(tell.send(ended));
    });
    runtime.block_on(async {
        tokio::select! {
            biased;
            ended = &mut ended => ended.unwrap_or(Err(TopError::Screen)),
            () = told.comes() => {
                told_to_end.store(true, Ordering::Relaxed);
                if tokio::time::timeout(GRACE, ended).await.is_err() {
                    // A terminal that is gone cannot be put back.
                    drop(ratatui::try_restore());
                }
                Ok(())
            }
        }
    })
}

fn on_screen(
    model: &mut TopModel,
    feed: &FeedLink,
    look: Theme,
    told_to_end: &AtomicBool,
) -> Result<(), TopError> {
    // It also puts the terminal back when something panics.
    let terminal = ratatui::try_init().map_err(TopError::Terminal);
    let ended = terminal.and_then(|mut terminal| {
        let ended = stay(&mut terminal, model, feed, look, told_to_end);
        ended.map_err(TopError::Terminal)
    });
    let restored = ratatui::try_restore().map_err(TopError::Terminal);
    ended.and(restored)
}

/// Until the user, or a signal, says that it is enough.
fn stay(
    terminal: &mut DefaultTerminal,
    model: &mut TopModel,
    feed: &FeedLink,
    look: Theme,
    told_to_end: &AtomicBool,
) -> io::Result<()> {
    let clock = Clock::start();
    let mut heard = clock.now();
    while !told_to_end.load(Ordering::Relaxed) {
        for news in feed.news.try_iter() {
            if matches!(news, ModelUpdate::Look { .. }) {
                heard = clock.now();
            }
            model.hear(news);
        }
        model.age = age(&clock, heard);
        model.page = draw::page(terminal.get_frame().area(), model.pane);
        terminal.draw(|frame| draw::draw(frame, model, look))?;
        // All keys that were typed are handled before the screen is drawn once.
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

/// What ends the program from outside.
struct ExitSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// `None` where such a terminal cannot be watched: then there are the signals alone.
    terminal: Option<AsyncFd<io::Stdin>>,
}

impl ExitSignals {
    /// Takes the signals over. Inside a runtime.
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            terminal: watched(),
        })
    }

    /// Completes with the first signal that ends processes, or when the terminal is gone: a process that does not
    /// belong to the terminal's session gets no signal then.
    async fn comes(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
            () = gone(self.terminal.as_ref()) => {}
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe code; standard input stays open as long as the process"
)]
fn watched() -> Option<AsyncFd<io::Stdin>> {
    AsyncFd::with_interest(io::stdin(), Interest::READABLE).ok()
}

async fn gone(terminal: Option<&AsyncFd<io::Stdin>>) {
    let Some(terminal) = terminal else {
        return std::future::pending().await;
    };
    while let Ok(mut ready) = terminal.readable().await {
        if ready.ready().is_read_closed() {
            return;
        }
        // What was typed is read elsewhere: only what comes next is news here.
        ready.clear_ready();
    }
}

#[cfg(test)]
mod tests;
