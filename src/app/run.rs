//! The life of a process: it starts, takes other configurations and lists over, and ends in order.

use std::time::Duration;

use tokio::sync::mpsc;

use super::error::StartError;
use super::orders::{Orders, ProcessOrder};
use super::process::App;
use super::reader::ConfigReader;
use super::refresher::Refresher;
use super::reload::reload;
use super::reloads::Reloads;
use super::watch::Watch;
use super::{additions, listening, state_writer};
use crate::admin::{OrderedChange, ProcessCommand};
use crate::config::{Config, ServerConfig};
use crate::listener::Passed;
use crate::runtime::clock::Clock;
use crate::runtime::task::guarded;
use crate::telemetry::{events, refusals};

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
    let mut orders = Orders::signals()?;
    // It may wait for programs that print keys.
    let started = tokio::select! {
        started = Box::pin(started(config, &mut passed, &read)) => started?,
        () = orders.end() => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    Box::pin(served(started, orders, &read)).await;
    Ok(())
}

/// A process that serves, and what looks after it.
pub(super) struct Started {
    pub(super) app: App,
    files: Watch,
    refresher: Refresher,
}

/// Reads the state file, and starts.
///
/// # Errors
/// A state file that cannot be written, and those of [`App::start`].
pub(super) async fn started(
    config: &Config,
    passed: &mut Passed,
    read: &ConfigReader,
) -> Result<Started, StartError> {
    let clock = Clock::start();
    let opened = state_writer::open(config, clock).await?;
    // What was added to the process before is there from the first request on.
    let (added, with_added) = additions::at_start(config, opened.as_ref(), read).await;
    let config = with_added.as_ref().unwrap_or(config);
    let files = Watch::new(config.files.clone()).await;
    let refresher = Refresher::restored(config).await;
    let config = &config.with_lists(&refresher.lists());
    let mut app = Box::pin(App::start(config, passed, opened, added, clock)).await?;
    app.fetched = refresher.lists();
    Ok(Started {
        app,
        files,
        refresher,
    })
}

/// Takes configurations and lists over until it is to end, then ends in order.
pub(super) async fn served(started: Started, mut orders: Orders, read: &ConfigReader) {
    let Started {
        mut app,
        mut files,
        mut refresher,
    } = started;
    let (_never, none) = mpsc::channel(1);
    let mut commands = app.commands.take().unwrap_or(none);
    orders.ready();
    let _telling = guarded(refusals::telling());
    let mut earlier = false;
    let mut reloads = Reloads::default();
    // After that many signals more it ends at once.
    let mut patience = 1;
    loop {
        refresher.start(&app.config, app.clock);
        tokio::select! {
            order = orders.next() => match order {
                ProcessOrder::End => break,
                ProcessOrder::Reload => {
                    files.look().await;
                    reloads.order("signal", None, (&app, read, &orders));
                }
            },
            () = files.changed() => reloads.order("file", None, (&app, read, &orders)),
            (ordered, printed) = reloads.due() => {
                let trigger = ordered.trigger;
                let reloaded = reload(&mut app, read, &mut files, &orders, trigger, printed).await;
                earlier |= reloaded.result.is_ok();
                ordered.answer(&reloaded);
                reloads.begin((&app, read, &orders));
            }
            command = commands.recv() => match command {
                Some(ProcessCommand::Reload(reply)) => {
                    files.look().await;
                    reloads.order("admin", Some(reply), (&app, read, &orders));
                }
                Some(ProcessCommand::Change(OrderedChange { change, reply })) => {
                    let changed = additions::change(&mut app, read, &mut files, change).await;
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
    // Later commands fail, because the channel is closed; so do reloads that wait for programs.
    drop((commands, reloads));
    orders.stopping();
    let impatience = async {
        for _ in 0..patience {
            orders.again().await;
        }
    };
    end(app, impatience).await;
}

/// Ends in order, or at once when `impatience` completes first.
async fn end(mut app: App, impatience: impl Future<Output = ()>) {
    let ServerConfig {
        drain_delay,
        drain_timeout,
        ..
    } = app.config.server;
    events::draining(drain_delay, drain_timeout);
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
