//! What the command line may say.

mod sides;
mod tools;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(super) use self::sides::{ConfigReading, DataSide};
pub(super) use self::tools::{
    BenchArguments, CatalogBuild, CatalogCommand, CatalogDiff, CatalogShow, CatalogUpdate,
    EvalArguments, InitArguments, KeysCommand, KeysTest,
};

/// The dispatcher between programs and LLM providers.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Serve requests until stopped.
    Serve(Serve),
    /// Write a configuration for the keys that are in the environment: which providers, which of their keys work, and a chain of
    /// them.
    ///
    /// Exit code 1 when no key works, or a file is there already; 64 for a provider that is not known, 78 without any.
    Init(InitArguments),
    /// Read the configuration, print what it means, and exit with 78 if it has mistakes.
    Check(Check),
    /// Ask a running process how it is: exit code 0 when it is well, 1 otherwise.
    Health(Health),
    /// Ask a running process where a request would go right now, in order, and why not elsewhere. Nothing is sent.
    ///
    /// Exit code 0 when it would go at once, 3 when it would have to wait, 1 when it would be refused, 69 when the
    /// process cannot be asked.
    Explain(Box<Explain>),
    /// List the models of a configuration: windows, limits, prices, what they can do, and where that is known from.
    ///
    /// Lists that the configuration names are fetched, unless its `catalog.state` has them. No running process is asked.
    Models(Models),
    /// Test the keys of a configuration.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make an index of models that several providers have, and look after lists of models.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Ask targets of a running process, and hold their answers against assertions.
    ///
    /// Exit code 1 when fewer cases passed than --threshold says, 65 when the file cannot be taken, 69 when the process cannot be
    /// asked.
    Eval(EvalArguments),
    /// Measure how fast a running process answers: latencies, throughput, goodput, its own overhead, costs.
    ///
    /// One request is sent first, to see that it is answered and what it costs. Exit code 1 when not all requests were served,
    /// or when they would cost more than may be spent; 69 when the process cannot be asked.
    Bench(Box<BenchArguments>),
    /// Look at the answers that a running process keeps for equal requests, let go of them, or fill them in.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Ask a running process who else is there with the same keys, and what they share.
    ///
    /// Exit code 1 when its fleet's store cannot be reached, 69 when the process cannot be asked.
    Fleet(FleetArguments),
    /// Watch a running process in the terminal: providers, keys, cooldowns, requests. `?` shows the keys.
    Top(Top),
    /// Make a configuration of another program's settings: YAML on standard output, what became of each field on standard error.
    ///
    /// Keys that the file writes out are not copied: the result asks for variables. Exit code 65 when the file cannot be
    /// taken, and with --strict when anything in it has no counterpart.
    Import(Import),
    /// Print a script with which a shell completes this command line.
    Completions(Completions),
    /// Print the manual page, or one of a command.
    Man(Man),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where to listen: HOST:PORT or unix:/path. May be given several times.
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Vec<String>,
    /// Where the admin listener goes: HOST:PORT, unix:/path or `off`. May be given several times.
    #[arg(long, value_name = "ADDR|off")]
    pub(super) admin_listen: Vec<String>,
    /// A built-in configuration without keys or network: see a failover with the first request.
    #[arg(long)]
    pub(super) demo: bool,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Mend mistakes that have one obvious mend: misspelt keys and words of a YAML or JSON file. Asks first; comments stay.
    #[arg(long)]
    pub(super) fix: bool,
    /// With --fix: do not ask.
    #[arg(long, requires = "fix")]
    pub(super) yes: bool,
    /// Print the reference of all keys (Markdown) and read nothing.
    #[arg(long, hide = true, conflicts_with_all = ["config", "json", "schema"])]
    pub(super) reference: bool,
    /// Print the JSON Schema of a configuration file and read nothing.
    #[arg(long, hide = true, conflicts_with_all = ["config", "json"])]
    pub(super) schema: bool,
}

#[derive(Debug, Args)]
pub(super) struct Health {
    /// The configuration file of the process that is asked; its `server.listen` says where.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where to ask instead: HOST:PORT or unix:/path.
    #[arg(long, value_name = "ADDR")]
    pub(super) address: Option<String>,
    /// Ask whether it takes requests (/health/ready), not only whether it lives (/health/live).
    #[arg(long)]
    pub(super) ready: bool,
}

/// Where the admin listener of a running process is.
#[derive(Debug, Args)]
pub(super) struct AdminSide {
    /// The admin listener to ask: HOST:PORT or unix:/path. Without it, that of the configuration.
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Option<String>,
    /// The configuration file of the process that is asked; its `server.admin_listen` says where.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A file with the admin token. Without it, the variable POINTSMAN_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// What the request asks for, as its `model` would say. Without it, the default.
    pub(super) target: Option<String>,
    /// Tokens of its prompt.
    #[arg(long, value_name = "N")]
    pub(super) tokens: Option<u64>,
    /// The most tokens that its answer may have.
    #[arg(long, value_name = "N")]
    pub(super) output_tokens: Option<u64>,
    /// The name of the client that asks.
    #[arg(long, value_name = "NAME")]
    pub(super) client: Option<String>,
    /// It asks for a stream.
    #[arg(long)]
    pub(super) stream: bool,
    /// The temperature that it asks for.
    #[arg(long, value_name = "NUMBER")]
    pub(super) temperature: Option<f64>,
    /// When it comes, for conditions on the time and prices that depend on it, such as 2027-01-31T18:30:00Z. Default: now.
    /// Cooldowns, breakers and budgets are as they are now.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// What it needs: tools, images, audio, json_schema, reasoning.
    #[arg(long, value_name = "FEATURES")]
    pub(super) has: Option<String>,
    /// One of its headers, for conditions on them; several times for several.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// The name of its conversation, where the target keeps conversations together.
    #[arg(long, value_name = "NAME")]
    pub(super) session: Option<String>,
    /// What the random numbers of its ranking are made from: the same number gives the same order.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// How it narrows the choice, for a target that takes hints: JSON such as '{"provider": {"only": ["groq"]}}'.
    #[arg(long, value_name = "JSON")]
    pub(super) hints: Option<String>,
    #[command(flatten)]
    pub(super) side: AdminSide,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// What is kept, here and in the server that processes share. Exit code 69 when the process cannot be asked.
    Stats(CacheStats),
    /// Let go of answers: of all, or of those that have every property that is named.
    ///
    /// Exit code 1 when they could not all be let go of, 69 when the process cannot be asked.
    Purge(CachePurge),
    /// Send requests whose answers are not kept yet, so that they are. Each costs what it costs.
    ///
    /// Exit code 0 when the answers to all are kept, 1 when some are not, 65 when the file is none of requests (then nothing is
    /// sent), 69 when the process cannot be asked.
    Prime(CachePrime),
}

#[derive(Debug, Args)]
pub(super) struct CacheStats {
    /// Count the entries in the server too, which goes through all of their names.
    #[arg(long)]
    pub(super) count: bool,
    #[command(flatten)]
    pub(super) side: AdminSide,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CachePurge {
    /// Only answers to requests for this target, as their `model` said.
    #[arg(long, value_name = "NAME")]
    pub(super) target: Option<String>,
    /// Only answers of this client, or of the scope of this name.
    #[arg(long, value_name = "NAME")]
    pub(super) scope: Option<String>,
    /// Only answers that are older: 90s, 1h, 2d.
    #[arg(long, value_name = "TIME")]
    pub(super) older: Option<String>,
    #[command(flatten)]
    pub(super) side: AdminSide,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CachePrime {
    /// A file with one JSON object per line, or `-`: the body of a request, or `{"url": "/v1/…", "body": {…}}`, the form of
    /// batches.
    pub(super) file: PathBuf,
    /// Requests at the same time, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(super) concurrency: u8,
    /// Where lines without a `url` go.
    #[arg(long, value_name = "PATH", default_value = "/v1/chat/completions")]
    pub(super) route: String,
    /// Keep answers that another call might answer differently, where the client may ask for that.
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) side: DataSide,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Models {
    /// Only models of this provider.
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// Only models that are known to be free.
    #[arg(long)]
    pub(super) free: bool,
    /// With `catalog.free_only` also models that are not offered because they are not free.
    #[arg(long, conflicts_with = "free")]
    pub(super) include_paid: bool,
    /// Only models that are known to have all of these: tools, images, audio, json_schema, reasoning.
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub(super) has: Vec<String>,
    /// How many models are shown. Default: 20; all with --full or --json.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Where each value comes from, and of all models.
    #[arg(long)]
    pub(super) full: bool,
    /// Why models are offered or not: required providers, keys, what each provider has of an index, what was left out, and
    /// what of each list could not be taken.
    #[arg(long)]
    pub(super) debug: bool,
    /// Fetch nothing.
    #[arg(long)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) reading: ConfigReading,
}

#[derive(Debug, Args)]
pub(super) struct FleetArguments {
    #[command(flatten)]
    pub(super) side: AdminSide,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Top {
    #[command(flatten)]
    pub(super) side: AdminSide,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Whose settings they are.
    #[arg(long, value_name = "PROGRAM")]
    pub(super) from: Program,
    /// The file; `-` or nothing is standard input.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// How the report is written.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(super) report: ReportForm,
    /// Exit with 65 when any field has no counterpart.
    #[arg(long)]
    pub(super) strict: bool,
    /// Copy the keys that the file writes out.
    #[arg(long)]
    pub(super) copy_keys: bool,
    /// Print one JSON document with the configuration and the report instead.
    #[arg(long, conflicts_with = "report")]
    pub(super) json: bool,
}

/// The programs whose settings are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Program {
    /// The configuration of LiteLLM's proxy
    #[value(name = "litellm")]
    LiteLlm,
    /// A gateway config of Portkey
    Portkey,
    /// providers.yaml or model_index.json of llmrouter
    #[value(name = "llmrouter")]
    LlmRouter,
    /// meta-providers.yaml or providers.yaml of LLM Gateway
    LlmGateway,
    /// A request or presets of OpenRouter
    #[value(name = "openrouter")]
    OpenRouter,
    /// config.json of Claude Code Router
    ClaudeCodeRouter,
}

/// The forms of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum ReportForm {
    /// For people
    Text,
    /// For machines
    Json,
    /// No report
    None,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// The command whose page it is, such as `import` or `cache purge`. Without it, the program's.
    #[arg(conflicts_with = "all")]
    pub(super) command: Vec<String>,
    /// Writes the pages of the program and of all commands to this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(super) all: Option<PathBuf>,
}

/// A header as `name=value` or `name: value`.
fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(['=', ':']);
    let parts = parts.filter(|(name, _)| !name.trim().is_empty());
    let (name, value) = parts.ok_or("write it as NAME=VALUE")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}
