//! From files, variables and arguments to one [`Config`]: lookup, layers, interpolation, reading, resolving.

use std::collections::{BTreeMap, HashMap};

use config::{Environment, File, FileFormat, Value, ValueKind};

use super::additions::LoadedAdditions;
use super::context::Context;
use super::env;
use super::error::{ConfigErrors, Problem};
use super::interpolate::{InterpolateError, interpolate};
use super::lookup::{self, Source};
use super::raw::Root;
use super::read::{COMMAND_LINE, ConfigNode, FromNode, Report};
use super::request::LoadRequest;
use super::resolve;
use super::resolved::Config;
use super::variables::wipe;

/// Reads and validates the configuration.
///
/// Layers, lowest first: built-in defaults, the file, `POINTSMAN__…` variables (those of `.env` under those
/// that are set), the command line. Keys come from the environment where the file names none.
///
/// # Errors
/// [`ConfigErrors::NothingConfigured`], or every mistake that was found.
pub fn load(request: &LoadRequest) -> Result<Config, ConfigErrors> {
    load_with(request, &LoadedAdditions::default())
}

/// The same, with what was added while the process runs beside it. That never makes a mistake of it: what cannot be used
/// of it is told in [`Config::additions`].
///
/// # Errors
/// The same as those of [`load`].
pub fn load_with(request: &LoadRequest, added: &LoadedAdditions) -> Result<Config, ConfigErrors> {
    with_additions(request, added, |env| lookup::find(request, env))
}

fn with_additions(
    request: &LoadRequest,
    added: &LoadedAdditions,
    find: impl Fn(&BTreeMap<String, String>) -> Result<Option<Source>, Problem>,
) -> Result<Config, ConfigErrors> {
    let mut alone = load_from(request, &LoadedAdditions::default(), &find)?;
    if added.additions.is_empty() {
        return Ok(alone);
    }
    // It has no mistakes alone; then it is the additions that do not fit, whichever of them it is.
    load_from(request, added, find).or_else(|errors| {
        alone.additions = added.additions.unusable(&errors.to_string());
        Ok(alone)
    })
}

/// The same with `text` as the content: `name` gives the format by its extension, and is named in messages.
/// Relative paths in it start at the working directory. [`LoadRequest::config_path`] is ignored.
///
/// # Errors
/// The same as those of [`load`].
pub fn load_text(name: &str, text: &str, request: &LoadRequest) -> Result<Config, ConfigErrors> {
    load_text_with(name, text, request, &LoadedAdditions::default())
}

/// The same, with what was added while the process runs beside it, as [`load_with`] has it.
///
/// # Errors
/// The same as those of [`load`].
pub fn load_text_with(
    name: &str,
    text: &str,
    request: &LoadRequest,
    added: &LoadedAdditions,
) -> Result<Config, ConfigErrors> {
    with_additions(request, added, |_| {
        lookup::given(name, text, &request.working_dir).map(Some)
    })
}

fn load_from(
    request: &LoadRequest,
    added: &LoadedAdditions,
    find: impl FnOnce(&BTreeMap<String, String>) -> Result<Option<Source>, Problem>,
) -> Result<Config, ConfigErrors> {
    let (env, dotenv) = env::with_dotenv(&request.env, &request.working_dir);
    let source = match find(&env) {
        Ok(source) => source,
        Err(problem) => {
            // Which file is looked for is in the request; here it is only known that `.env` was.
            let files = vec![request.working_dir.join(".env")];
            return Err(ConfigErrors::invalid(vec![problem], files, &[]));
        }
    };
    let (overrides, problems) = env::overrides(&env);
    let sources = sources(source.as_ref(), dotenv.there, &overrides, request);
    let mut report = Report {
        problems,
        lenient: source.as_ref().is_some_and(|source| source.borg),
        file: source
            .as_ref()
            .map(|source| source.name.clone())
            .unwrap_or_default(),
        files: source
            .iter()
            .filter_map(|source| source.file.clone())
            .chain([request.working_dir.join(".env")])
            .collect(),
        warnings: dotenv.unread.iter().cloned().collect(),
        unread: dotenv.unread,
        ..Report::default()
    };
    let file = match source.as_ref().map(parse).transpose() {
        Ok(file) => file.map(|mut file| {
            merge_keys(&mut file.cache);
            interpolate_tree(&mut file.cache, "", &env, &mut report);
            file
        }),
        Err(problem) => {
            report.problems.push(problem);
            return Err(report.into_errors());
        }
    };
    let bare = file.is_none() && overrides.keys().all(|path| !path.starts_with("llm"));
    let mut root = match layers(file, overrides, request) {
        Ok(root) => root,
        Err(message) => {
            report.problem("", message, "");
            return Err(report.into_errors());
        }
    };
    misplaced(&mut root, &mut report);
    let node = ConfigNode {
        value: &root,
        path: String::new(),
    };
    let raw = Root::read(&node, &mut report).unwrap_or_default();
    wipe(&mut root);
    let context = Context {
        env: &env,
        working_dir: request.working_dir.clone(),
        dir: source.map_or_else(|| request.working_dir.clone(), |source| source.dir),
        with_environment: !request.demo,
        bare,
        discover: raw.catalog.as_ref().and_then(|raw| raw.discover) == Some(true),
        added,
    };
    resolve::resolve(raw, &context, report, sources)
}

/// What the configuration was read from, for people. `dotenv`: there is a `.env`.
fn sources(
    source: Option<&Source>,
    dotenv: bool,
    overrides: &HashMap<String, String>,
    request: &LoadRequest,
) -> Vec<String> {
    let mut sources: Vec<String> = source.iter().map(|source| source.name.clone()).collect();
    if dotenv {
        sources.push(".env".to_owned());
    }
    if !overrides.is_empty() {
        sources.push("environment POINTSMAN__…".to_owned());
    }
    if !request.listen.is_empty() || !request.admin_listen.is_empty() {
        sources.push("command line".to_owned());
    }
    sources
}

pub(super) fn parse(source: &Source) -> Result<config::Config, Problem> {
    // An empty file is an empty configuration, also where the format does not allow it.
    let text = match source.text.trim() {
        "" if source.format == FileFormat::Json => "{}",
        _ => source.text.as_str(),
    };
    config::Config::builder()
        .add_source(File::from_str(text, source.format))
        .build()
        .map_err(|error| Problem {
            place: source.name.clone(),
            message: format!("can't be parsed: {}", without_excerpt(&error.to_string())),
            suggestion: None,
        })
}

/// Parsers quote the line at fault, which may hold a key.
fn without_excerpt(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| {
        let gutter = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        !line.is_empty() && !gutter.starts_with('|')
    });
    lines.collect::<Vec<_>>().join(": ")
}

pub(super) fn layers(
    file: Option<config::Config>,
    overrides: std::collections::HashMap<String, String>,
    request: &LoadRequest,
) -> Result<Value, String> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(file);
    }
    builder = builder.add_source(Environment::default().source(Some(overrides)));
    let given = [
        ("server.listen", &request.listen),
        ("server.admin_listen", &request.admin_listen),
    ];
    for (path, given) in given.into_iter().filter(|(_, given)| !given.is_empty()) {
        let origin = COMMAND_LINE.to_owned();
        let texts = given
            .iter()
            .map(|text| Value::new(Some(&origin), text.clone()));
        let value = Value::new(Some(&origin), texts.collect::<Vec<Value>>());
        builder = builder
            .set_override(path, value)
            .map_err(|error| error.to_string())?;
    }
    builder
        .build()
        .map(|config| config.cache)
        .map_err(|error| error.to_string())
}

/// YAML's merge key: `<<: *base` fills in what the map itself does not say.
pub(super) fn merge_keys(value: &mut Value) {
    match &mut value.kind {
        ValueKind::Table(table) => {
            let bases = match table.remove("<<").map(|base| base.kind) {
                Some(ValueKind::Array(bases)) => bases.into_iter().map(|base| base.kind).collect(),
                Some(base) => vec![base],
                None => Vec::new(),
            };
            for base in bases {
                match base {
                    ValueKind::Table(base) => {
                        for (key, member) in base {
                            table.entry(key).or_insert(member);
                        }
                    }
                    // Not a map: left for the reader to refuse.
                    other => {
                        table.insert("<<".to_owned(), Value::new(None, other));
                    }
                }
            }
            // What was merged may bring a merge key of its own.
            if matches!(
                table.get("<<").map(|base| &base.kind),
                Some(ValueKind::Table(_))
            ) {
                merge_keys(value);
                return;
            }
            table.values_mut().for_each(merge_keys);
        }
        ValueKind::Array(values) => values.iter_mut().for_each(merge_keys),
        _ => {}
    }
}

/// Interpolates every string of the file, and remembers where which variables went.
pub(super) fn interpolate_tree(
    value: &mut Value,
    path: &str,
    env: &BTreeMap<String, String>,
    report: &mut Report,
) {
    match &mut value.kind {
        ValueKind::String(text) => match interpolate(text, env) {
            Ok(done) => {
                *text = done.text;
                if !done.variables.is_empty() {
                    report.variables.insert(path.to_owned(), done.variables);
                }
            }
            Err(error) => {
                let suggestion = match &error {
                    InterpolateError::Unset { name } => {
                        report.missing(&format!("set it, or write ${{{name}:-default}}"))
                    }
                    _ => "write $${ for a literal ${".to_owned(),
                };
                report.problem(path, error.to_string(), &suggestion);
                // The reader must not report the same value a second time.
                value.kind = ValueKind::Nil;
            }
        },
        ValueKind::Table(table) => {
            let mut members: Vec<_> = table.iter_mut().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            for (key, member) in members {
                let at = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                interpolate_tree(member, &at, env, report);
            }
        }
        ValueKind::Array(values) => {
            for (at, member) in values.iter_mut().enumerate() {
                interpolate_tree(member, &format!("{path}[{at}]"), env, report);
            }
        }
        _ => {}
    }
}

/// Reports each key that belongs below `llm:` and was written at the top level.
fn misplaced(root: &mut Value, report: &mut Report) {
    let ValueKind::Table(table) = &mut root.kind else {
        return;
    };
    for key in ["providers", "virtual", "default_model"] {
        if table.remove(key).is_some() {
            report.problem(
                key,
                format!("`{key}:` is at the top level"),
                &format!("nest it under `llm:`, as in\n      llm:\n        {key}: …"),
            );
        }
    }
}
