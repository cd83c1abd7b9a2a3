//! The environment: what the process was given, filled up from `.env`, and the layer of
//! `POINTSMAN__SECTION__KEY` overrides in it. Nothing here reads the process's own variables.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::dotenv;
use super::error::Problem;
use super::variables::Variables;

const PREFIX: &str = "POINTSMAN__";

/// What came of `.env`.
#[derive(Default)]
pub(super) struct FromDotenv {
    /// Whether the file exists.
    pub(super) there: bool,
    /// What of it could not be read: by the numbers of lines, since a line may hold a key.
    pub(super) unread: Option<String>,
}

/// `given` with what `.env` in `dir` adds; what is set stays as it is. Other programs use the file too, so whatever is
/// wrong with it is a mistake only when something is missing.
pub(super) fn with_dotenv(given: &Variables, dir: &Path) -> (Variables, FromDotenv) {
    let mut env = given.clone();
    let path = dir.join(".env");
    if !path.is_file() {
        return (env, FromDotenv::default());
    }
    let unread = match std::fs::read(&path).map(Zeroizing::new) {
        Ok(bytes) => {
            let file = dotenv::parse(&bytes);
            for (name, mut value) in file.entries {
                env.fill_in(name, std::mem::take(&mut *value));
            }
            dotenv::told(&file.skipped)
        }
        Err(error) => Some(format!(".env can't be read: {}", error.kind())),
    };
    let found = FromDotenv {
        there: true,
        unread,
    };
    (env, found)
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
