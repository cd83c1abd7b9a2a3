//! The wiring: from a configuration to a running process, to another configuration, and back down.
//!
//! Up: tree, dispatch, listeners. Down, on a signal: not ready, no new connections, what is under way gets
//! its time, then the rest.

mod access;
mod additions;
mod admin;
mod assemble;
mod caching;
mod error;
mod fleet;
pub(crate) mod key_tests;
mod listening;
mod metrics;
mod model_entries;
mod notify;
mod programs;
mod reader;
mod refresher;
mod reload;
mod running;
mod state_writer;
mod traces;
mod watch;

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::notify::tell;
use self::refresher::Refresher;
use self::reload::reload;
use self::watch::Watch;
use crate::admin::{OrderedChange, ProcessCommand};
use crate::config::{Config, ServerConfig};
use crate::listener::Passed;
use crate::runtime::clock::Clock;
use crate::runtime::task::guarded;
use crate::telemetry::{events, refusals};

pub use error::{StartError, chain};
pub(crate) use listening::try_tls;
pub use reader::ConfigReader;
pub(crate) use refresher::{ListUpdate, current as current_lists, update as update_lists};
pub use running::App;

/// How long requests that are aborted get to send an error to their callers.
const ERROR_EVENT_GRACE: Duration = Duration::from_secs(2);

/// The interval of the checks whether requests of earlier configurations are over.
const TIDY_UP: Duration = Duration::from_millis(250);

/// Serves until a signal says stop, then ends in order. A second signal ends at once. `read` is asked again when a
/// file that `config` came from changes, on SIGHUP, and when the admin listener is asked to.
///
/// # Errors
/// Whatever keeps the process from starting.
pub async fn run(
    config: &Config,
    mut passed: Passed,
    read: ConfigReader,
) -> Result<(), StartError> {
    listening::raise_descriptors(&config.server);
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let clock = Clock::start();
    let opened = state_writer::open(config, clock).await?;
    // What was added to the process before is there from the first request on.
    let (added, with_added) = additions::at_start(config, opened.as_ref(), &read).await;
    let config = with_added.as_ref().unwrap_or(config);
    let mut files = Watch::new(config.files.clone()).await;
    let mut refresher = Refresher::restored(config).await;
    let config = &config.with_lists(&refresher.lists());
    let mut app = Box::pin(App::start_with(config, &mut passed, opened, added, clock)).await?;
    app.fetched = refresher.lists();
    let (_never, none) = mpsc::channel(1);
    let mut commands = app.commands.take().unwrap_or(none);
    tell(&[NotifyState::Ready]);
    let _telling = guarded(refusals::telling());
    let mut earlier = false;
    // After that many signals more it ends at once.
    let mut patience = 1;
    loop {
        refresher.start(&app.config, app.clock);
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                files.look().await;
                let reloaded = reload(&mut app, &read, &mut files, "signal").await;
                earlier |= reloaded.result.is_ok();
            }
            () = files.changed() => {
                let reloaded = reload(&mut app, &read, &mut files, "file").await;
                earlier |= reloaded.result.is_ok();
            }
            command = commands.recv() => match command {
                Some(ProcessCommand::Reload(reply)) => {
                    files.look().await;
                    let reloaded = reload(&mut app, &read, &mut files, "admin").await;
                    earlier |= reloaded.result.is_ok();
                        // The sender may be gone; the reload is done all the same.
                    let _ = reply.send(reloaded);
                }
                Some(ProcessCommand::Change(OrderedChange { change, reply })) => {
                    let changed = additions::change(&mut app, &read, &mut files, change).await;
                    earlier |= changed.is_ok();
                    let _ = reply.send(changed);
                }
                Some(ProcessCommand::Drain) | None => {
                    // After a hook that called for this, the service manager sends the signal all the same.
                    patience += 1;
                    break;
                }
            },
            fetched = refresher.changed() => match app.take_lists(fetched).await {
                Ok(()) => earlier = true,
                Err(error) => tracing::warn!(%error, "the lists of models stay as they were"),
            },
            () = tokio::time::sleep(TIDY_UP), if earlier => earlier = app.tidy_up().await,
        }
    }
    // Later commands fail, because the channel is closed.
    drop(commands);
    let impatience = async {
        for _ in 0..patience {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    };
    end(app, impatience).await;
    Ok(())
}

/// Ends in order, or at once when `impatience` completes first.
async fn end(mut app: App, impatience: impl Future<Output = ()>) {
    let ServerConfig {
        drain_delay,
        drain_timeout,
        ..
    } = app.config.server;
    events::draining(drain_delay, drain_timeout);
    tell(&[NotifyState::Stopping]);
    app.drain();
    let ending = async {
        tokio::time::sleep(drain_delay).await;
        events::drain_closed();
        let mut stopping = std::pin::pin!(app.stop());
        if tokio::time::timeout(drain_timeout, stopping.as_mut())
            .await
            .is_err()
        {
            events::drain_cut();
            app.cut();
            drop(tokio::time::timeout(ERROR_EVENT_GRACE, stopping).await);
        }
    };
    let in_order = tokio::select! {
        () = ending => true,
        () = impatience => false,
    };
    refusals::tell();
    if in_order {
        events::stopped();
        app.end_admin().await;
    } else {
        tracing::warn!("second signal: stopped at once");
    }
    app.keep().await;
    app.flush(in_order).await;
}
