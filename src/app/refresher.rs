//! Fetches lists of models in the background, once the process serves: one task, which publishes what it has, and keeps
//! the last good list of each in a file for the next process.

mod fetch;
mod jobs;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use self::jobs::{ListJob, Refreshed};
use crate::config::{Config, FetchedLists, ListPlace};
use crate::runtime::clock::Clock;
use crate::runtime::task::{self, TaskGuard};
use crate::store::kept_lists::{self, SavedList};

/// Without anything to fetch the task sleeps so long.
const IDLE: Duration = Duration::from_secs(3600);

/// The lists that were fetched, and the task that fetches more.
pub(super) struct Refresher {
    lists: watch::Receiver<Arc<FetchedLists>>,
    publish: watch::Sender<Arc<FetchedLists>>,
    /// The lists as they came, with which the jobs of another configuration go on.
    saved: watch::Sender<Arc<[SavedList]>>,
    task: Option<TaskGuard>,
    /// What the task was started for.
    started: Option<jobs::Wanted>,
}

impl Refresher {
    /// What the last process kept.
    pub(super) async fn restored(config: &Config) -> Self {
        let saved = match config.catalog.state.clone() {
            Some(path) => read(path).await,
            None => Vec::new(),
        };
        let config = config.clone();
        let saved: Arc<[SavedList]> = saved.into();
        let pages = Arc::clone(&saved);
        let restored = tokio::task::spawn_blocking(move || jobs::restore(&config, &pages));
        let (publish, lists) = watch::channel(Arc::new(restored.await.unwrap_or_default()));
        Self {
            lists,
            publish,
            saved: watch::Sender::new(saved),
            task: None,
            started: None,
        }
    }

    /// The lists as they are now.
    pub(super) fn lists(&self) -> Arc<FetchedLists> {
        Arc::clone(&self.lists.borrow())
    }

    /// Fetches what this configuration names from now on; goes on as before where it names the same. Warns of files that are
    /// old.
    pub(super) fn start(&mut self, config: &Config, clock: Clock) {
        warn_of_old_files(config, clock);
        let wanted = jobs::wanted(config);
        if self.started.as_ref() == Some(&wanted) {
            return;
        }
        // Two tasks must not publish at once; what is under way is fetched again.
        self.task = None;
        let saved = Arc::clone(&self.saved.borrow());
        let jobs = jobs::jobs(config, &saved, &self.lists(), clock);
        self.started = Some(wanted);
        self.task = (!jobs.is_empty()).then(|| {
            let work = run(
                jobs,
                config.catalog.state.clone(),
                ListChannels {
                    lists: self.publish.clone(),
                    saved: self.saved.clone(),
                },
                clock,
            );
            task::guarded(work)
        });
    }

    /// Completes when lists have been fetched. Cancel-safe; never, where none are.
    pub(super) async fn changed(&mut self) -> Arc<FetchedLists> {
        if self.lists.changed().await.is_err() {
            return std::future::pending().await;
        }
        Arc::clone(&self.lists.borrow_and_update())
    }
}

/// The lists that a process with this configuration would have by now: those that were kept, and with `fetch` those whose
/// time is over anew. Nothing is kept of it. Beside them, why some could not be had.
pub(crate) async fn current(config: &Config, fetch: bool) -> (Arc<FetchedLists>, Vec<String>) {
    let known = Refresher::restored(config).await;
    let mut lists = known.lists();
    if !fetch {
        return (lists, Vec::new());
    }
    let clock = Clock::start();
    let saved = Arc::clone(&known.saved.borrow());
    let mut jobs = jobs::jobs(config, &saved, &lists, clock);
    let now = Instant::now();
    let due = jobs.iter_mut().filter(|job| job.due <= now);
    let fetched = join_all(due.map(|job| job.refresh(clock))).await;
    let failures = fetched.into_iter().filter_map(|it| match it {
        Refreshed::New => None,
        Refreshed::NotTaken(why) => Some(why),
    });
    let failures = failures.collect();
    let all = Arc::make_mut(&mut lists);
    all.extend(
        jobs.iter()
            .filter_map(|job| Some((job.key.clone(), job.list()?))),
    );
    (lists, failures)
}

/// What an update did with one list.
#[derive(Clone, Debug)]
pub(crate) struct ListUpdate {
    /// What the list is called.
    pub name: String,
    /// Models that were kept of it before; `None`: it was not kept.
    pub before: Option<usize>,
    /// Models that are kept of it now.
    pub now: Option<usize>,
    /// Whether it was asked for.
    pub is_fetched: bool,
    /// Why it could not be had, or was not taken.
    pub failure: Option<String>,
}

/// Fetches the lists of this configuration, with `all` also those whose time is not over, and keeps them in the file for the
/// next process.
///
/// # Errors
/// The file cannot be written.
pub(crate) async fn update(
    config: &Config,
    path: PathBuf,
    all: bool,
) -> io::Result<Vec<ListUpdate>> {
    let known = Refresher::restored(config).await;
    let lists = known.lists();
    let clock = Clock::start();
    let saved = Arc::clone(&known.saved.borrow());
    let mut jobs = jobs::jobs(config, &saved, &lists, clock);
    let now = Instant::now();
    let updating = jobs.iter_mut().map(|job| async move {
        let is_fetched = all || job.due <= now;
        let before = job.list().map(|list| list.entries.len());
        let refreshed = match is_fetched {
            true => Some(job.refresh(clock).await),
            false => None,
        };
        ListUpdate {
            name: job.name.clone(),
            before,
            now: job.list().map(|list| list.entries.len()),
            is_fetched,
            failure: refreshed.and_then(|refreshed| match refreshed {
                Refreshed::New => None,
                Refreshed::NotTaken(why) => Some(why),
            }),
        }
    });
    let updates = join_all(updating).await;
    let saved: Vec<SavedList> = jobs.iter().filter_map(ListJob::saved).collect();
    let written = tokio::task::spawn_blocking(move || kept_lists::write(&path, &saved)).await;
    written.map_err(io::Error::other)??;
    Ok(updates)
}

fn warn_of_old_files(config: &Config, clock: Clock) {
    let now = clock.anchor().wall.as_secs();
    for source in &config.catalog.sources {
        let ListPlace::File(list) = &source.place else {
            continue;
        };
        if let Some(days_old) = list.origin.stale_days(now) {
            let list = &*list.origin.name;
            tracing::warn!(
                list,
                days_old,
                "a file with a list of models is old: what it says may no longer hold"
            );
        }
    }
}

/// Where the task puts what it has.
struct ListChannels {
    lists: watch::Sender<Arc<FetchedLists>>,
    saved: watch::Sender<Arc<[SavedList]>>,
}

async fn run(mut jobs: Vec<ListJob>, state: Option<PathBuf>, to: ListChannels, clock: Clock) {
    loop {
        let next = jobs.iter().map(|job| job.due).min();
        tokio::time::sleep_until(next.unwrap_or_else(|| Instant::now() + IDLE)).await;
        let now = Instant::now();
        let due = jobs.iter_mut().filter(|job| job.due <= now);
        let fetched = join_all(due.map(|job| job.refresh(clock))).await;
        if !fetched.iter().any(|it| matches!(it, Refreshed::New)) {
            continue;
        }
        let lists = jobs
            .iter()
            .filter_map(|job| Some((job.key.clone(), job.list()?)));
        to.lists.send_replace(Arc::new(lists.collect()));
        let saved: Arc<[SavedList]> = jobs.iter().filter_map(ListJob::saved).collect();
        to.saved.send_replace(Arc::clone(&saved));
        if let Some(path) = &state {
            write(path.clone(), saved).await;
        }
    }
}

/// What was kept; nothing, with a warning, where it cannot be read.
async fn read(path: PathBuf) -> Vec<SavedList> {
    let shown = path.display().to_string();
    match tokio::task::spawn_blocking(move || kept_lists::read(&path)).await {
        Ok(Ok(lists)) => lists,
        Ok(Err(error)) => {
            tracing::warn!(file = shown, %error, "the kept lists of models cannot be read: they are fetched anew");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

async fn write(path: PathBuf, lists: Arc<[SavedList]>) {
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || kept_lists::write(&path, &lists)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(file = shown, %error, "the lists of models cannot be kept");
    }
}
