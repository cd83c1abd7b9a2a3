//! The life of a process: it starts, takes other configurations and lists over, and ends in order.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;

use super::error::StartError;
use super::orders::{Orders, ProcessOrder};
use super::process::App;
use super::refresher::Refresher;
use super::watch::{self, Watch};
use super::{admin, listening};
use crate::admin::{Mistake, ProcessCommand, Reloaded};
use crate::config::{Config, ConfigErrors, ServerConfig};
use crate::listener::Passed;
use crate::runtime::task::guarded;
use crate::telemetry::{events, level, refusals};

/// How long requests that are aborted get to send an error to their callers.
const ERROR_EVENT_GRACE: Duration = Duration::from_secs(2);

/// The interval of the checks whether requests of earlier configurations are over.
const TIDY_UP: Duration = Duration::from_millis(250);

/// Reads the configuration again.
pub type ConfigReader = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

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
    let orders = Orders::signals()?;
    let started = Box::pin(started(config, &mut passed)).await?;
    Box::pin(served(started, orders, &read)).await;
    Ok(())
}

/// A process that serves, and what looks after it.
pub(super) struct Started {
    pub(super) app: App,
    files: Watch,
    refresher: Refresher,
}

pub(super) async fn started(config: &Config, passed: &mut Passed) -> Result<Started, StartError> {
    let files = Watch::new(config.files.clone()).await;
    let refresher = Refresher::restored(config).await;
    let config = &config.with_lists(&refresher.lists());
    let mut app = Box::pin(App::start(config, passed)).await?;
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
    orders.tell(&[NotifyState::Ready]);
    let _telling = guarded(refusals::telling());
    let mut earlier = false;
    // After that many signals more it ends at once.
    let mut patience = 1;
    loop {
        refresher.start(&app.config, app.clock);
        tokio::select! {
            order = orders.next() => match order {
                ProcessOrder::End => break,
                ProcessOrder::Reload => {
                    files.look().await;
                    let reloaded = reload(&mut app, read, &mut files, &orders, "signal").await;
                    earlier |= reloaded.result.is_ok();
                }
            },
            () = files.changed() => {
                let reloaded = reload(&mut app, read, &mut files, &orders, "file").await;
                earlier |= reloaded.result.is_ok();
            }
            command = commands.recv() => match command {
                Some(ProcessCommand::Reload(reply)) => {
                    files.look().await;
                    let reloaded = reload(&mut app, read, &mut files, &orders, "admin").await;
                    earlier |= reloaded.result.is_ok();
                        // The sender may be gone; the reload is done all the same.
                    let _ = reply.send(reloaded);
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
    orders.tell(&[NotifyState::Stopping]);
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

/// One reload, with its result in the log. A configuration with mistakes changes nothing.
async fn reload(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    orders: &Orders,
    trigger: &'static str,
) -> Reloaded {
    // The time is asked for by systemd 253 and later.
    let now = NotifyState::monotonic_usec_now();
    orders.tell(&[vec![NotifyState::Reloading], now.into_iter().collect()].concat());
    let result = reload_now(app, read, files).await;
    orders.tell(&[NotifyState::Ready]);
    let generation = app.api.serving().dispatch.generation;
    let result = match result {
        Ok(needs_restart) => {
            for text in &needs_restart {
                tracing::warn!("{text}: that takes a restart");
            }
            events::reloaded(trigger, generation, app.config.providers.len());
            Ok(needs_restart)
        }
        Err((text, mistakes)) => {
            events::not_reloaded(trigger, &text);
            Err(mistakes)
        }
    };
    if let Some(metrics) = app.api.serving().dispatch.recorder.metrics() {
        metrics.reloaded(trigger, result.is_ok());
    }
    let reloaded = Reloaded { generation, result };
    admin::told(&app.admin, trigger, &reloaded);
    reloaded
}

/// What takes a restart; or why nothing has changed, as one text and one by one.
async fn reload_now(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
) -> Result<Vec<String>, (String, Vec<Mistake>)> {
    let mut config = read();
    let wanted = watch::wanted(&config, &app.config);
    if files.watches() != wanted {
        // What changes after this look is seen by the next one; what changed before it is read now.
        files.watch(&wanted);
        files.look().await;
        config = read();
    }
    let config = config.map_err(|errors| (errors.to_string(), admin::mistakes(&errors)))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (before, state_path) = (app.config.log.clone(), app.config.state_path.clone());
    let reloaded = app.reload(&config).await;
    let mut needs_restart = reloaded.map_err(|error| {
        let mistake = admin::mistake(&error);
        (mistake.message.clone(), vec![mistake])
    })?;
    if config.state_path != state_path {
        needs_restart.push("state.path has changed".to_owned());
    }
    if config.log.format != before.format {
        needs_restart.push("log.format has changed".to_owned());
    }
    if config.log.level != before.level
        && let Err(error) = level::set(&config.log.level, "reload")
    {
        tracing::warn!(%error, "the log level stays as it was");
    }
    Ok(needs_restart)
}
