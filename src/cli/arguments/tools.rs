//! What the command line may say to tools: commands that look at a configuration or at a running process from outside.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::sides::{ConfigReading, DataSide};
use crate::config;
use crate::domain::money::Pico;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeysCommand {
    /// Ask each provider whether it takes the keys of a configuration. It costs nothing, unless --live is given.
    ///
    /// No running process is asked or told. Exit code 1 when a key is invalid, 64 for a provider that is not configured.
    Test(KeysTest),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeysTest {
    /// The providers whose keys are tested. Without any: all.
    #[arg(value_name = "PROVIDER")]
    pub(in crate::cli) providers: Vec<String>,
    /// Ask for one token where nothing free proves a key.
    #[arg(long)]
    pub(in crate::cli) live: bool,
    /// Calls at the same time, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::cli) concurrency: u8,
    /// Calls at the same time to one provider, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::cli) per_provider: u8,
    /// How long one call may take: 500ms, 10s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BenchArguments {
    /// What is asked for, as the `model` of requests. Without it, the default.
    pub(in crate::cli) target: Option<String>,
    /// An open loop: so many requests a second, at random moments (a Poisson process), whatever becomes of those before.
    /// Several for several runs. Default: 10.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = rate, conflicts_with = "concurrency")]
    pub(in crate::cli) rate: Vec<f64>,
    /// A closed loop: so many requests at the same time, each sent when one before is answered. Several for several runs.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(in crate::cli) concurrency: Vec<u16>,
    /// Double the rate, or the requests at the same time, until the process keeps up no longer.
    #[arg(long)]
    pub(in crate::cli) sweep: bool,
    /// Even moments instead of random ones.
    #[arg(long, conflicts_with = "concurrency")]
    pub(in crate::cli) even: bool,
    /// Requests of each run. Default: 100, or with --duration as many as there is time for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) requests: Option<u64>,
    /// How long requests are begun in each run: 30s, 5m.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(in crate::cli) duration: Option<Duration>,
    /// Ask for whole answers instead of streams.
    #[arg(long)]
    pub(in crate::cli) whole: bool,
    /// About how many tokens prompts have.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(in crate::cli) input_tokens: usize,
    /// The most tokens that answers may have.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(in crate::cli) output_tokens: u64,
    /// Requests to send in turn instead of made-up ones: a file with the body of a chat completion on each line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input_tokens", "output_tokens"])]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Send the same request each time, which a cache may answer.
    #[arg(long)]
    pub(in crate::cli) same: bool,
    /// What requests must keep to for goodput, in milliseconds: ttft:250 tpot:80 e2el:5000.
    #[arg(long, value_name = "METRIC:MS", num_args = 1..)]
    pub(in crate::cli) goodput: Vec<String>,
    /// Ask before more than this is spent, in the currency of the configured prices; it ends the run, too.
    #[arg(long, value_name = "AMOUNT", default_value = "1", value_parser = amount)]
    pub(in crate::cli) max_cost: Pico,
    /// Do not ask.
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// The target by which the overhead of the process itself is measured: one that answers at once. Default: an echo, if there
    /// is one.
    #[arg(long, value_name = "TARGET")]
    pub(in crate::cli) echo: Option<String>,
    /// What random moments are made from: the same number gives the same ones.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) seed: Option<u64>,
    /// How long one request may take: 30s, 10m.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) side: DataSide,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Requests a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok();
    let rate = rate.filter(|rate: &f64| (0.001..=100_000.0).contains(rate));
    rate.ok_or_else(|| "a rate is 0.001 to 100000 requests a second".to_owned())
}

/// Money.
fn amount(text: &str) -> Result<Pico, String> {
    Pico::parse(text).ok_or_else(|| "write it as 0.5 or 10".to_owned())
}

/// A time such as `500ms`, `10s`, `2m`.
fn span(text: &str) -> Result<Duration, String> {
    let found = config::duration(text).filter(|span| !span.is_zero());
    found.ok_or_else(|| "write it as 500ms, 10s or 2m".to_owned())
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CatalogCommand {
    /// Make an index: the models that all of some providers have, each under one name. The providers' lists are fetched.
    ///
    /// Exit code 1 when a list cannot be had or no model is left, 65 when the seed cannot be taken, 78 without a provider's key.
    Build(CatalogBuild),
    /// Fetch the lists that a configuration names, and keep them in its `catalog.state` for the next process.
    ///
    /// Exit code 1 when one cannot be had or is not taken: the one before stays.
    Update(CatalogUpdate),
    /// What lists there are, how old they are and what could not be taken; with a model what each list says of it.
    Show(CatalogShow),
    /// What has changed from one list to another, or from the lists that are kept to the providers' of now. Nothing is kept.
    ///
    /// Exit code 1 when something has changed, 65 for a file that is no list.
    Diff(CatalogDiff),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CatalogBuild {
    /// The providers that must all have a model. Default: those of `catalog.required`, else all that are configured.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::cli) providers: Vec<String>,
    /// An index that names the models and how each provider spells them. Default: models whose ids are the same but for
    /// spelling.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) seed: Option<PathBuf>,
    /// Also models that cost something.
    #[arg(long)]
    pub(in crate::cli) include_paid: bool,
    /// Where the index goes; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "model_index.json")]
    pub(in crate::cli) output: PathBuf,
    /// With a line for each part.
    #[arg(long)]
    pub(in crate::cli) pretty: bool,
    #[command(flatten)]
    pub(in crate::cli) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CatalogUpdate {
    /// Also lists whose time is not over.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    #[command(flatten)]
    pub(in crate::cli) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CatalogShow {
    /// Models, by their ids in the lists.
    #[arg(value_name = "MODEL")]
    pub(in crate::cli) models: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CatalogDiff {
    /// The first list, a file of any known format. Without files: the lists that are kept.
    #[arg(value_name = "BEFORE", requires = "after")]
    pub(in crate::cli) before: Option<PathBuf>,
    /// The second one. Without files: the lists as they are fetched now.
    #[arg(value_name = "AFTER")]
    pub(in crate::cli) after: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalArguments {
    /// A file with prompts, targets and tests, as promptfoo has them (YAML or JSON); `-` is standard input.
    pub(in crate::cli) file: PathBuf,
    /// A target, in place of those of the file; several times for several.
    #[arg(long, value_name = "TARGET")]
    pub(in crate::cli) target: Vec<String>,
    /// The share of cases that must pass, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub(in crate::cli) threshold: f64,
    /// Also write a report in the form of JUnit's.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) junit: Option<PathBuf>,
    /// Requests at the same time, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::cli) concurrency: u8,
    /// How long one request may take: 30s, 10m.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) side: DataSide,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A share.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let share = share.filter(|share: &f64| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is 0 to 1".to_owned())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InitArguments {
    /// A provider: a built-in one by its name, or NAME=URL for any server that speaks OpenAI's API. Default: those whose keys are
    /// in the environment.
    #[arg(long, value_name = "NAME[=URL]", value_delimiter = ',')]
    pub(in crate::cli) provider: Vec<String>,
    /// The file that is written; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "pointsman.yaml")]
    pub(in crate::cli) output: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Do not ask providers whether they take the keys.
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// Do not ask at the terminal: take every provider with a key that works.
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Print what was found and what would be written, as JSON. Nothing is asked, and nothing is written.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
