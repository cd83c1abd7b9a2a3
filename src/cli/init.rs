//! `pointsman init`: writes a configuration for the keys that are there.

mod draft;
mod report;

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

use self::draft::{InitProvider, draft};
use self::report::{FoundProviders, InitReport};
use super::arguments::InitArguments;
use super::exit::{
    BAD_CONFIGURATION, NO, SOFTWARE, USAGE, complain, say, say_json, start, surroundings, tell,
};
use super::progress::ProgressLine;
use crate::app::key_tests::{KeyTest, KeyTestOptions, count, test_keys};
use crate::config::{self, Config, ConfigErrors, LoadRequest, catalog};
use crate::domain::key_verdict::KeyVerdict;
use crate::domain::near::near;

/// How long one key may take to be tested.
const PATIENCE: Duration = Duration::from_secs(10);
/// Keys that are tested at the same time.
const CONCURRENCY: usize = 8;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("there is a file {0} already; --force replaces it, --output names another one")]
    Exists(String),
    #[error(
        "no key of a provider was found in the environment; set one, such as GROQ_API_KEY, or name a provider with --provider: \
         a built-in one ({0}), or NAME=URL for any server"
    )]
    Nothing(String),
    #[error("--provider {0}")]
    Provider(String),
    #[error("no key works; --offline takes them without a test")]
    NoneWorks,
    #[error("{0}")]
    Draft(String),
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("nothing was written")]
    Declined,
    #[error("")]
    Told(ExitCode),
}

impl InitError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Provider(_) => ExitCode::from(USAGE),
            Self::Nothing(_) | Self::Draft(_) => ExitCode::from(BAD_CONFIGURATION),
            Self::Exists(_) | Self::NoneWorks | Self::Declined => ExitCode::from(NO),
            Self::Write { .. } => ExitCode::from(SOFTWARE),
            Self::Told(code) => *code,
        }
    }
}

pub(super) fn run(arguments: &InitArguments) -> ExitCode {
    let mut report = InitReport::default();
    let ended = init(arguments, &mut report);
    if arguments.json && !matches!(ended, Err(InitError::Told(_))) {
        let problem = ended.as_ref().err().map(ToString::to_string);
        let report = report.to_json(&arguments.output, problem.as_deref());
        say_json(&format!("{report:#}\n"));
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !arguments.json && !matches!(error, InitError::Told(_)) {
                complain(&error.to_string());
            }
            error.code()
        }
    }
}

fn init(arguments: &InitArguments, report: &mut InitReport) -> Result<(), InitError> {
    let output = arguments.output.as_path();
    let to_stdout = output == Path::new("-");
    if !to_stdout && !arguments.force && output.exists() {
        return Err(InitError::Exists(output.display().to_string()));
    }
    let request = LoadRequest {
        env: surroundings().env,
        working_dir: surroundings().working_dir,
        ..LoadRequest::default()
    };
    let named = named(&arguments.provider).map_err(InitError::Provider)?;
    let config = found(&named, &request)?;
    let tests = match arguments.offline {
        true => Vec::new(),
        false => tested(&config, arguments.json)?,
    };
    let found = report.found.insert(FoundProviders { config, tests });
    if !arguments.json {
        tell(&found.told(), false);
    }
    let mut providers = drafts(found, &named);
    let usable = providers.iter().any(|provider| provider.works);
    if !usable && !arguments.offline {
        return Err(InitError::NoneWorks);
    }
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let asks = !arguments.yes && !arguments.json && is_terminal;
    if asks {
        choose(&mut providers);
    }
    providers.retain(|provider| provider.works || arguments.offline);
    let text = draft(&providers);
    checked(&text, &request)?;
    report.taken = providers;
    let text = report.configuration.insert(text);
    if arguments.json {
        return Ok(());
    }
    if to_stdout {
        say(text);
        return Ok(());
    }
    if asks && !agreed(&format!("Write {}? [Y/n] ", output.display()), true) {
        return Err(InitError::Declined);
    }
    write(output, text, arguments.force).map_err(|source| InitError::Write {
        path: output.display().to_string(),
        source,
    })?;
    let path = output.display();
    tell(
        &format!(
            "{path} is written; `pointsman check --config {path}` says what it means, `pointsman serve --config {path}` serves it\n"
        ),
        false,
    );
    Ok(())
}

/// A provider of the command line.
struct NamedProvider {
    name: String,
    /// Of one that is not built in.
    url: Option<String>,
}

/// Providers as `NAME` or `NAME=URL`.
fn named(words: &[String]) -> Result<Vec<NamedProvider>, String> {
    let read = words.iter().map(|word| match word.split_once('=') {
        Some((name, url)) if !name.is_empty() && url.contains("://") => Ok(NamedProvider {
            name: name.to_owned(),
            url: Some(url.to_owned()),
        }),
        Some(_) => Err(format!("{word}: write NAME=http://HOST:PORT/v1")),
        None => match catalog::find(word) {
            Some(entry) => Ok(NamedProvider {
                name: entry.id.clone(),
                url: None,
            }),
            None => {
                let known = catalog::all().iter().map(|entry| entry.id.as_str());
                let meant = near(word, known);
                let hint = meant
                    .first()
                    .map(|meant| format!("; did you mean `{meant}`?"));
                let hint = hint.unwrap_or_else(|| "; write NAME=URL for a server".to_owned());
                Err(format!("{word} is not built in{hint}"))
            }
        },
    });
    read.collect()
}

/// The configuration that follows from the environment and the providers that are named.
fn found(named: &[NamedProvider], request: &LoadRequest) -> Result<Config, InitError> {
    let mut text = String::from("llm:\n  providers:");
    if named.is_empty() {
        text.push_str(" []");
    }
    for provider in named {
        text.push_str(&format!("\n    - name: {}", draft::quoted(&provider.name)));
        if let Some(url) = &provider.url {
            text.push_str(&format!("\n      base_url: {}", draft::quoted(url)));
        }
    }
    text.push('\n');
    let config = config::load_text("init.yaml", &text, request);
    let mut config = config.map_err(|errors| match errors {
        _ if named.is_empty() && request_has_no_key(request) => nothing(),
        ConfigErrors::NothingConfigured { .. } => nothing(),
        errors => InitError::Provider(errors.to_string()),
    })?;
    if !named.is_empty() {
        let is_named = |name: &str| named.iter().any(|provider| provider.name == name);
        config
            .providers
            .retain(|provider| is_named(provider.name.as_str()));
    }
    match config.providers.is_empty() {
        true => Err(nothing()),
        false => Ok(config),
    }
}

/// Whether the environment has no key of a provider that is there by its key alone.
fn request_has_no_key(request: &LoadRequest) -> bool {
    let entries = catalog::all().iter().filter(|entry| entry.is_automatic());
    let mut names = entries.flat_map(catalog::BuiltIn::variables);
    !names.any(|name| {
        let several = format!("{name}S");
        let in_file = format!("{name}_FILE");
        [name, several, in_file]
            .iter()
            .any(|name| request.env.contains_key(name))
    })
}

fn nothing() -> InitError {
    let all = catalog::all().iter().filter(|entry| entry.cloud.is_none());
    let names: Vec<&str> = all.map(|entry| entry.id.as_str()).collect();
    InitError::Nothing(names.join(", "))
}

fn tested(config: &Config, quiet: bool) -> Result<Vec<KeyTest>, InitError> {
    let options = KeyTestOptions {
        providers: Vec::new(),
        live: false,
        concurrency: CONCURRENCY,
        per_provider: 1,
        timeout: PATIENCE,
    };
    let runtime = start(Builder::new_current_thread()).map_err(InitError::Told)?;
    let progress = ProgressLine::new(count(config, &options), quiet);
    Ok(runtime.block_on(test_keys(config, &options, &|_| progress.step())))
}

/// Whether a key, as far as was found out, is good for requests.
const fn is_good(verdict: KeyVerdict) -> bool {
    matches!(
        verdict,
        KeyVerdict::Ok | KeyVerdict::RateLimited | KeyVerdict::Unproven
    )
}

fn drafts(found: &FoundProviders, named: &[NamedProvider]) -> Vec<InitProvider> {
    let drafts = found.config.providers.iter().map(|provider| {
        let name = provider.name.as_str();
        let own: Vec<&KeyTest> = found.tests_of(name).collect();
        let good = own.iter().filter(|test| is_good(test.verdict)).count();
        let url = named.iter().find(|it| it.name == name);
        InitProvider {
            name: name.to_owned(),
            url: url.and_then(|it| it.url.clone()),
            model: provider.model.as_ref().map(ToString::to_string),
            wanted: config::wanted_variables(name),
            keys: provider
                .keys
                .iter()
                .filter(|key| key.material.is_some())
                .count(),
            tested: (!own.is_empty()).then_some(good),
            works: good > 0,
        }
    });
    drafts.collect()
}

/// Asks which providers are taken; what works is proposed.
fn choose(providers: &mut [InitProvider]) {
    let proposed: Vec<&str> = providers
        .iter()
        .filter(|provider| provider.works)
        .map(|provider| provider.name.as_str())
        .collect();
    let line = asked(&format!("Which providers? [{}] ", proposed.join(", ")));
    let wanted: Vec<String> = line
        .split([',', ' '])
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    if wanted.is_empty() {
        return;
    }
    for provider in providers {
        provider.works = wanted.contains(&provider.name);
    }
}

fn asked(question: &str) -> String {
    drop(io::stderr().write_all(question.as_bytes()));
    let mut line = String::new();
    drop(io::stdin().lock().read_line(&mut line));
    line.trim().to_owned()
}

fn agreed(question: &str, usual: bool) -> bool {
    match asked(question).to_lowercase().as_str() {
        "" => usual,
        answer => matches!(answer, "y" | "yes"),
    }
}

/// What is written can be served.
fn checked(text: &str, request: &LoadRequest) -> Result<(), InitError> {
    let read = config::load_text("pointsman.yaml", text, request);
    read.map(drop)
        .map_err(|errors| InitError::Draft(errors.to_string()))
}

fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).truncate(force);
    match force {
        true => options.create(true),
        false => options.create_new(true),
    };
    options.open(path)?.write_all(text.as_bytes())
}
