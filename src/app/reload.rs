//! Another configuration in place of the one that serves: what was read, together with what was added.

use super::admin;
use super::orders::Orders;
use super::process::App;
use super::programs::{self, Printed};
use super::reader::ConfigReader;
use super::watch::{self, Watch};
use crate::admin::{Mistake, Reloaded};
use crate::config::{Config, ConfigErrors, LoadedAdditions};
use crate::telemetry::{events, level};

/// What takes a restart; or why nothing has changed, as one text and one by one.
pub(super) type TakenOver = Result<Vec<String>, (String, Vec<Mistake>)>;

/// One reload, with its result in the log, after the programs of added keys have `printed` what they print now. A configuration
/// with mistakes changes nothing.
pub(super) async fn reload(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    orders: &Orders,
    trigger: &'static str,
    printed: Printed,
) -> Reloaded {
    let result = reload_now(app, read, files, printed).await;
    orders.ready();
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

/// Reads and takes over.
async fn reload_now(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    printed: Printed,
) -> TakenOver {
    let added = programs::with_printed(&app.added, printed);
    let config = read_watched(app, read, files, &added).await;
    let config = config.map_err(|errors| (errors.to_string(), admin::mistakes(&errors)))?;
    take_over(app, &config, added).await
}

/// Reads the configuration with these additions; from now on the files that it came from are watched.
pub(super) async fn read_watched(
    app: &App,
    read: &ConfigReader,
    files: &mut Watch,
    added: &LoadedAdditions,
) -> Result<Config, ConfigErrors> {
    let config = read(added);
    let wanted = watch::wanted(&config, &app.config);
    if files.watches() == wanted {
        return config;
    }
    // What changes after this look is seen by the next one; what changed before it is read now.
    files.watch(&wanted);
    files.look().await;
    read(added)
}

/// Takes a configuration over that was read with these additions.
pub(super) async fn take_over(app: &mut App, config: &Config, added: LoadedAdditions) -> TakenOver {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // An addition that is left out stays so for long: it is told once.
    for addition in config.additions.iter().filter(|it| it.is_left_out()) {
        if !app.config.additions.contains(addition) {
            tracing::warn!("{addition}");
        }
    }
    let (before, state_path) = (app.config.log.clone(), app.config.state_path.clone());
    let added_before = std::mem::replace(&mut app.added, added);
    let reloaded = app.reload(config).await;
    let mut needs_restart = reloaded.map_err(|error| {
        app.added = added_before;
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
