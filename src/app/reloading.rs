//! One reload of the running process, and what is told of it.

use sd_notify::NotifyState;

use super::watch::{self, Watch};
use super::{App, ConfigReader, admin, tell};
use crate::admin::{Mistake, Reloaded};
use crate::telemetry::{events, level};

/// One reload, with its result in the log. A configuration with mistakes changes nothing.
pub(super) async fn reload(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    trigger: &'static str,
) -> Reloaded {
    // The time is asked for by systemd 253 and later.
    let now = NotifyState::monotonic_usec_now();
    tell(&[vec![NotifyState::Reloading], now.into_iter().collect()].concat());
    let result = reload_now(app, read, files).await;
    tell(&[NotifyState::Ready]);
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
    let before = app.config.log.clone();
    let state_path = app.config.state_path.clone();
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
