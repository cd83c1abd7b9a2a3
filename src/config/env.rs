//! The environment: what the process was given, filled up from `.env`, and the layer of
//! `POINTSMAN__SECTION__KEY` overrides in it. Nothing here reads the process's own variables.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::Problem;
use super::variables::Variables;

const PREFIX: &str = "POINTSMAN__";

/// `given` with what `.env` in `dir` adds; what is set stays as it is. The flag says whether there was a file.
pub(super) fn with_dotenv(given: &Variables, dir: &Path) -> (Variables, bool, Vec<Problem>) {
    let mut env = given.clone();
    let path = dir.join(".env");
    if !path.is_file() {
        return (env, false, Vec::new());
    }
    let mut problems = Vec::new();
    let mut problem = |message: String| {
        problems.push(Problem {
            place: ".env".to_owned(),
            message,
            suggestion: None,
        });
    };
    match dotenvy::from_path_iter(&path) {
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Ok((name, value)) => {
                        env.fill_in(name, value);
                    }
                    // The error shows the line, which may hold a key.
                    Err(dotenvy::Error::LineParse(line, _)) => {
                        let text =
                            Zeroizing::new(std::fs::read_to_string(&path).unwrap_or_default());
                        let at = text.lines().position(|other| other.trim() == line.trim());
                        let line = at.map_or_else(String::new, |at| format!(" {}", at + 1));
                        problem(format!("line{line} is not NAME=value"));
                    }
                    Err(error) => {
                        let kind = match error {
                            dotenvy::Error::Io(error) => error.kind().to_string(),
                            _ => "it is not a list of NAME=value".to_owned(),
                        };
                        problem(format!("can't be read: {kind}"));
                        break;
                    }
                }
            }
        }
        Err(_) => problem("can't be read".to_owned()),
    }
    (env, true, problems)
}

/// The overrides as paths of the `config` crate: `POINTSMAN__LLM__PROVIDERS__0__MODEL` is
/// `llm.providers[0].model`. A number is a place in a list; empty values count as unset.
pub(super) fn overrides(
    env: &BTreeMap<String, String>,
) -> (std::collections::HashMap<String, String>, Vec<Problem>) {
    let mut paths = std::collections::HashMap::new();
    let mut problems = Vec::new();
    for (name, value) in env {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        match path(rest) {
            Some(path) => {
                paths.insert(path, value.clone());
            }
            None => problems.push(Problem {
                place: format!("environment {name}"),
                message: "does not name a key".to_owned(),
                suggestion: Some("write POINTSMAN__SERVER__LISTEN for server.listen".to_owned()),
            }),
        }
    }
    (paths, problems)
}

fn path(rest: &str) -> Option<String> {
    let mut path = String::new();
    for (at, segment) in rest.split("__").enumerate() {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if segment.is_empty() || !segment.chars().all(legal) {
            return None;
        }
        if at > 0 && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            // Three digits: an index must not make the list as long as it likes.
            let index: u16 = segment.parse().ok().filter(|index| *index < 1000)?;
            path.push_str(&format!("[{index}]"));
            continue;
        }
        if at > 0 {
            path.push('.');
        }
        path.push_str(&segment.to_lowercase());
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        assert_eq!(path("SERVER__MAX_BODY").as_deref(), Some("server.max_body"));
        assert_eq!(
            path("LLM__PROVIDERS__0__MODEL").as_deref(),
            Some("llm.providers[0].model")
        );
        for bad in ["", "SERVER__", "__X", "LLM__PROVIDERS__99999", "A B"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
