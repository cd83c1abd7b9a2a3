//! Which file is the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::FileFormat;
use zeroize::Zeroizing;

use super::error::Problem;
use super::request::LoadRequest;

/// Editors put it in front of a text; it is no part of any of the formats.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A configuration's text and how to read it.
pub(super) struct Source {
    /// In messages: the path as given, or relative to the working directory.
    pub name: String,
    pub text: Zeroizing<String>,
    pub format: FileFormat,
    /// Whether it is a BorgLLM file.
    pub borg: bool,
    /// Where relative paths in it start.
    pub dir: PathBuf,
    /// `None` when built in.
    pub file: Option<PathBuf>,
}

/// Finds and reads the file: `--config`, `POINTSMAN_CONFIG`, `pointsman.*`, `config/pointsman.*`, `borg.*`.
///
/// # Errors
/// A named file that can't be read, an unknown ending, or two candidates of one rank.
pub(super) fn find(
    request: &LoadRequest,
    env: &BTreeMap<String, String>,
) -> Result<Option<Source>, Problem> {
    if request.demo {
        if request.config_path.is_some() {
            return Err(problem(
                "--demo",
                "brings its own configuration",
                "leave out --config",
            ));
        }
        return Ok(Some(Source {
            name: "built-in demo".to_owned(),
            text: Zeroizing::new(include_str!("../../config/demo.yaml").to_owned()),
            format: FileFormat::Yaml,
            borg: false,
            dir: request.working_dir.clone(),
            file: None,
        }));
    }
    let variable = env.get("POINTSMAN_CONFIG").filter(|path| !path.is_empty());
    let named = request
        .config_path
        .clone()
        .or_else(|| variable.map(PathBuf::from));
    if let Some(path) = named {
        return read(&request.working_dir, &path).map(Some);
    }
    let ranks: [(&str, &[&str]); 3] = [
        ("pointsman", &["yaml", "yml", "toml", "json"]),
        ("config/pointsman", &["yaml", "yml", "toml", "json"]),
        ("borg", &["yaml", "yml"]),
    ];
    for (stem, endings) in ranks {
        let candidates = endings
            .iter()
            .map(|ending| PathBuf::from(format!("{stem}.{ending}")));
        let found: Vec<PathBuf> = candidates
            .filter(|path| request.working_dir.join(path).is_file())
            .collect();
        match found.as_slice() {
            [] => {}
            [path] => return read(&request.working_dir, path).map(Some),
            [first, second, ..] => {
                return Err(problem(
                    &first.display().to_string(),
                    &format!("there is also {}", second.display()),
                    "remove one of them, or name one with --config",
                ));
            }
        }
    }
    Ok(None)
}

/// A text that is there already, as if it were the file of that name.
///
/// # Errors
/// An unknown ending.
pub(super) fn given(name: &str, text: &str, dir: &Path) -> Result<Source, Problem> {
    let format = format_of(Path::new(name))?;
    Ok(Source {
        name: name.to_owned(),
        text: Zeroizing::new(text.trim_start_matches(BYTE_ORDER_MARK).to_owned()),
        format,
        borg: is_borg(Path::new(name), format),
        dir: dir.to_path_buf(),
        file: None,
    })
}

/// The kind of a file, by its ending.
pub(super) fn format_of(path: &Path) -> Result<FileFormat, Problem> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "yaml" | "yml" => Ok(FileFormat::Yaml),
        "toml" => Ok(FileFormat::Toml),
        "json" => Ok(FileFormat::Json),
        _ => Err(problem(
            &path.display().to_string(),
            "its extension names no known format",
            "name it .yaml, .yml, .toml or .json",
        )),
    }
}

fn is_borg(path: &Path, format: FileFormat) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem == Some("borg") && format == FileFormat::Yaml
}

fn read(working_dir: &Path, path: &Path) -> Result<Source, Problem> {
    let name = path.display().to_string();
    let format = format_of(path)?;
    let full = working_dir.join(path);
    let mut text = std::fs::read_to_string(&full)
        .map(Zeroizing::new)
        .map_err(|error| problem(&name, &format!("can't be read: {}", error.kind()), ""))?;
    while text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(Source {
        name,
        text,
        format,
        borg: is_borg(path, format),
        dir: full
            .parent()
            .map_or_else(|| working_dir.to_path_buf(), Path::to_path_buf),
        file: Some(full),
    })
}

fn problem(place: &str, message: &str, suggestion: &str) -> Problem {
    Problem {
        place: place.to_owned(),
        message: message.to_owned(),
        suggestion: (!suggestion.is_empty()).then(|| suggestion.to_owned()),
    }
}
