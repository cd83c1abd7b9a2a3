//! API keys from variables, and from the files that variables name. Material leaves this file only as [`ApiKey`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::HeaderValue;

use super::key_files;
pub(super) use super::key_files::read as from_file;
use super::odd_keys;
use super::read::Report;
use super::resolved::KeyConfig;
use super::values::words;
use crate::domain::hash_map::SeenSet;
use crate::domain::secret::ApiKey;

/// Keys that variables lead to, and what there is to say about them.
#[derive(Default)]
pub(super) struct FoundKeys {
    pub keys: Vec<KeyConfig>,
    /// The file or directory that a variable names.
    file: Option<PathBuf>,
    /// The variable that names it, and what is wrong with it.
    problem: Option<(String, String)>,
    warnings: Vec<String>,
    /// What the variable holds, which should be a path.
    suspect: Option<String>,
}

impl FoundKeys {
    /// Reports the warnings and mistakes, and returns the keys.
    pub fn told(self, report: &mut Report) -> Vec<KeyConfig> {
        if let Some(text) = &self.suspect {
            report.suspect(text);
        }
        report.files.extend(self.file);
        report.warnings.extend(self.warnings);
        if let Some((variable, message)) = self.problem {
            report.problem_at(format!("environment {variable}"), message, "");
        }
        self.keys
    }
}

/// The keys of the first of `names` that any variable belongs to, in the order in which they rotate.
///
/// For each name: its plural (`GROQ_API_KEYS`), which excludes the other forms; else the numbered forms
/// (`GROQ_API_KEY0`, `GROQ_API_KEY_1`, gaps allowed) by number, then the name itself. Each may hold several
/// keys with commas, spaces or line breaks between them. Without any of these, `GROQ_API_KEY_FILE` or
/// `GROQ_API_KEYS_FILE` may name a file of keys, or a directory of such; relative ones start at `dir`. Repeated keys
/// count once.
pub(super) fn from_env(names: &[String], env: &BTreeMap<String, String>, dir: &Path) -> FoundKeys {
    for name in names {
        let mut found = FoundKeys::default();
        let plural = format!("{name}S");
        found.split(&plural, env.get(&plural));
        if found.keys.is_empty() {
            for variable in numbered(name, env) {
                found.split(variable, env.get(variable));
            }
            found.split(name, env.get(name));
        }
        let file = [name, &plural].into_iter().find_map(|name| {
            let variable = format!("{name}_FILE");
            let path = env.get(&variable).filter(|path| !path.trim().is_empty())?;
            Some((variable, path.trim()))
        });
        match file {
            Some((variable, _)) if !found.keys.is_empty() => {
                let text = format!("{variable} is not used: {name} is set as well");
                found.warnings.push(text);
                return found.distinct();
            }
            Some((variable, path)) => {
                return FoundKeys {
                    suspect: Some(path.to_owned()),
                    ..named(variable, dir.join(path))
                };
            }
            None if !found.keys.is_empty() => return found.distinct(),
            None => {}
        }
    }
    FoundKeys::default()
}

fn named(variable: String, path: PathBuf) -> FoundKeys {
    let (read, problem) = match key_files::read(&path) {
        Ok(read) if read.keys.is_empty() => (read, Some("holds no key".to_owned())),
        Ok(read) => (read, None),
        Err(error) => {
            let problem = format!("can't be read: {error}");
            (key_files::Read::default(), Some(problem))
        }
    };
    let (keys, warnings) = read.parts();
    FoundKeys {
        keys: distinct(keys),
        problem: problem.map(|problem| (variable, format!("{} {problem}", path.display()))),
        file: Some(path),
        warnings,
        ..FoundKeys::default()
    }
}

impl FoundKeys {
    /// Adds the keys of a variable.
    fn split(&mut self, variable: &str, value: Option<&String>) {
        let Some(value) = value else { return };
        let odd = odd_keys::told(value, &format!("environment {variable}"));
        self.warnings.extend(odd);
        let words: Vec<String> = words(value).collect();
        let several = words.len() > 1;
        for (at, word) in words.into_iter().enumerate() {
            let source = if several {
                format!("env {variable}[{at}]")
            } else {
                format!("env {variable}")
            };
            self.keys.push(KeyConfig {
                account: None,
                material: Some(ApiKey::new(word)),
                source,
            });
        }
    }

    fn distinct(mut self) -> Self {
        self.keys = distinct(self.keys);
        self
    }
}

/// `NAME0`, `NAME_1`, … by number.
fn numbered<'a>(name: &str, env: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let mut found: Vec<(u32, &str)> = env
        .range(name.to_owned()..)
        .take_while(|(variable, _)| variable.starts_with(name))
        .filter_map(|(variable, _)| {
            let suffix = variable.strip_prefix(name)?;
            let digits = suffix.strip_prefix('_').unwrap_or(suffix);
            let number = digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
            number
                .then(|| digits.parse().ok())
                .flatten()
                .map(|number| (number, variable.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, variable)| variable).collect()
}

/// Each key once, at its first place.
pub(super) fn distinct(mut keys: Vec<KeyConfig>) -> Vec<KeyConfig> {
    let mut seen = SeenSet::with_capacity(keys.len());
    let first: Vec<bool> = keys.iter().map(|key| seen.insert(&key.material)).collect();
    let mut first = first.into_iter();
    keys.retain(|_| first.next().unwrap_or(true));
    keys
}

/// Whether a key can be sent in a header.
pub(super) fn sendable(key: &KeyConfig) -> bool {
    key.material.as_ref().is_none_or(|material| {
        let text = material.expose();
        text.bytes().all(|byte| byte.is_ascii_graphic()) && HeaderValue::from_str(text).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn read(names: &[&str], pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        from_env(&names, &env(pairs), Path::new("/nowhere"))
            .keys
            .into_iter()
            .map(|key| (key.material.unwrap().expose().to_owned(), key.source))
            .collect()
    }

    fn keys(names: &[&str], pairs: &[(&str, &str)]) -> Vec<String> {
        read(names, pairs).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_plural_is_a_list_and_stands_alone() {
        let pairs = [
            ("K_KEYS", "a, b ,,c\nd a"),
            ("K_KEY", "single"),
            ("K_KEY_1", "one"),
        ];
        assert_eq!(keys(&["K_KEY"], &pairs), ["a", "b", "c", "d"]);
        assert_eq!(read(&["K_KEY"], &pairs)[1].1, "env K_KEYS[1]");
    }

    #[test]
    fn numbered_variables_may_have_gaps_and_any_base() {
        let pairs = [
            ("K_KEY10", "ten"),
            ("K_KEY_2", "two"),
            ("K_KEY0", "zero"),
            ("K_KEY_X", "no"),
            ("K_KEY_2_OLD", "no"),
            ("K_KEYRING", "no"),
        ];
        assert_eq!(keys(&["K_KEY"], &pairs), ["zero", "two", "ten"]);
    }

    #[test]
    fn the_plain_name_comes_after_the_numbered_ones_and_counts_once() {
        assert_eq!(
            keys(&["K"], &[("K", "a"), ("K_1", "b"), ("K_2", "a")]),
            ["b", "a"]
        );
        assert_eq!(keys(&["K"], &[("K", "x,y")]), ["x", "y"]);
        assert_eq!(
            read(&["K"], &[("K", "x")]),
            [("x".to_owned(), "env K".to_owned())]
        );
    }

    #[test]
    fn the_first_name_that_is_set_wins() {
        let pairs = [("FIRST", ""), ("SECOND_1", "s"), ("THIRD", "t")];
        assert_eq!(keys(&["FIRST", "SECOND", "THIRD"], &pairs), ["s"]);
        assert!(keys(&["NONE"], &pairs).is_empty());
    }

    proptest! {
        #[test]
        fn every_key_comes_once_and_none_is_invented(list in prop::collection::vec("[a-c]{1,2}", 0..12), separator in "[, \n]{1,3}") {
            let found = keys(&["K"], &[("KS", &list.join(&separator))]);
            let mut expected: Vec<String> = Vec::new();
            for key in list {
                if !expected.contains(&key) {
                    expected.push(key);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
