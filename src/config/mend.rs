//! Mistakes that have one obvious mend: a key or a word that is misspelt. Mended in the file's own text, so that comments and
//! order stay.

mod spots;
mod toml_spots;
mod yaml_spots;

use std::ops::Range;
use std::path::Path;

use ::config::FileFormat;

use self::spots::{below, range};
use super::error::Problem;
use super::lookup::format_of;

/// One change of a file's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mend {
    /// The path of the key: `llm.providers[0].api_kyes`.
    pub path: String,
    /// The line that it is on, from 1.
    pub line: usize,
    /// What stands there.
    pub before: String,
    /// What is to stand there.
    pub after: String,
    range: Range<usize>,
}

/// The mends of these mistakes in the text of a file. Mistakes without an obvious one, and those of other places than the
/// text, have none.
pub fn mends(file: &Path, text: &str, problems: &[Problem]) -> Vec<Mend> {
    let Ok(format) = format_of(file) else {
        return Vec::new();
    };
    let is_toml = format == FileFormat::Toml;
    let spots = match is_toml {
        true => toml_spots::spots(text),
        // JSON is YAML.
        false => yaml_spots::spots(text),
    };
    let found = problems.iter().filter_map(|problem| {
        let after = meant(problem)?;
        let path = problem.place.rsplit_once(' ');
        let path = path.map_or(problem.place.as_str(), |(_, path)| path);
        let spot = spots.get(&path.to_lowercase())?;
        let words = match problem.message.as_str() {
            "unknown key" => {
                // Somebody has both: which one is meant is not obvious.
                let (parent, _) = path.rsplit_once('.').unwrap_or(("", path));
                if spots.contains_key(&below(parent, after).to_lowercase()) {
                    return None;
                }
                match is_toml {
                    true => toml_spots::everywhere(text, &path.to_lowercase(), after)?,
                    false => vec![spot.key.clone()],
                }
            }
            message if message.starts_with("expected one of ") => vec![spot.value.clone()?],
            _ => return None,
        };
        let mends = words.into_iter().map(|spot| {
            Some(Mend {
                path: path.to_owned(),
                line: spot.line,
                range: range(text, &spot)?,
                before: spot.word,
                after: after.to_owned(),
            })
        });
        mends.collect::<Option<Vec<Mend>>>()
    });
    let mut found: Vec<Mend> = found.flatten().collect();
    found.sort_by_key(|mend| mend.range.start);
    found.dedup_by_key(|mend| mend.range.start);
    found
}

/// The text with these changes.
pub fn mended(text: &str, mends: &[Mend]) -> String {
    let mut out = text.to_owned();
    for mend in mends.iter().rev() {
        out.replace_range(mend.range.clone(), &mend.after);
    }
    out
}

/// The word that a mistake's suggestion names, if it names one.
fn meant(problem: &Problem) -> Option<&str> {
    let suggestion = problem.suggestion.as_deref()?;
    let word = suggestion.strip_prefix("did you mean `")?;
    word.strip_suffix("`?").filter(|word| !word.contains('`'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_file(name: &str, text: &str, problems: &[Problem]) -> Vec<Mend> {
        mends(Path::new(name), text, problems)
    }

    fn problem(place: &str, message: &str, suggestion: &str) -> Problem {
        Problem {
            place: place.to_owned(),
            message: message.to_owned(),
            suggestion: Some(suggestion.to_owned()),
        }
    }

    const TEXT: &str = "\
# our keys — two of them
servr: {listen: '127.0.0.1:1'}
llm:
  providers:
    - name: a          # the first
      key_rotation: \"roundrobin\"
      api_kyes: [k1]
      timeouts: {conect: 5s, connect: 6s}
";

    #[test]
    fn misspelt_keys_and_words_are_mended_in_place() {
        let problems = [
            problem(
                "my file.yaml servr",
                "unknown key",
                "did you mean `server`?",
            ),
            problem(
                "my file.yaml llm.providers[0].key_rotation",
                "expected one of round_robin, sticky",
                "did you mean `round_robin`?",
            ),
            problem(
                "llm.providers[0].api_kyes",
                "unknown key",
                "did you mean `api_keys`?",
            ),
            problem(
                "llm.providers[0].timeouts.conect",
                "unknown key",
                "did you mean `connect`?",
            ),
            problem("llm.providers[0].name", "unknown key", "known here: a, b"),
            problem("environment X", "unknown key", "did you mean `y`?"),
        ];
        let found = in_file("p.yml", TEXT, &problems);
        let told: Vec<(usize, &str, &str)> = found
            .iter()
            .map(|mend| (mend.line, mend.before.as_str(), mend.after.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (2, "servr", "server"),
                (6, "roundrobin", "round_robin"),
                (7, "api_kyes", "api_keys"),
            ]
        );
        let expected = TEXT
            .replace("servr", "server")
            .replace("roundrobin", "round_robin")
            .replace("api_kyes", "api_keys");
        assert_eq!(mended(TEXT, &found), expected);
    }

    #[test]
    fn json_is_mended_too() {
        let text = r#"{"servr": {"listen": []}}"#;
        let problems = [problem(
            "p.json servr",
            "unknown key",
            "did you mean `server`?",
        )];
        let found = in_file("p.json", text, &problems);
        assert_eq!(mended(text, &found), r#"{"server": {"listen": []}}"#);
    }

    #[test]
    fn toml_is_mended_in_all_ways_to_write_a_key() {
        let text = r#"
servr.listen = "127.0.0.1:1" # ours — the only one
[server_]
"admin_listn" = 'of'
[[llm.providers]]
name = "a"
[[llm.providers]]
key_rotation = "roundrobin"   # not 'roundrobin'
timeouts = { conect = "5s" }
api_kyes = [
  "k1",
]
'api_kye' = "k"
[llm.providers.circuit_braker]
failure_threshold = 1
[llm.providers.limts]
rpm = 1
[llm.providers.limits]
"#;
        let unknown = |place: &str, meant: &str| {
            let meant = format!("did you mean `{meant}`?");
            problem(&format!("my p.toml {place}"), "unknown key", &meant)
        };
        let problems = [
            unknown("servr", "server"),
            unknown("server_.admin_listn", "admin_listen"),
            problem(
                "my p.toml llm.providers[1].key_rotation",
                "expected one of round_robin, sticky",
                "did you mean `round_robin`?",
            ),
            unknown("llm.providers[1].timeouts.conect", "connect"),
            unknown("llm.providers[1].api_kyes", "api_keys"),
            unknown("llm.providers[1].api_kye", "api_key"),
            unknown("llm.providers[1].circuit_braker", "circuit_breaker"),
            // Both are there.
            unknown("llm.providers[1].limts", "limits"),
        ];
        let found = in_file("my p.toml", text, &problems);
        let told: Vec<(usize, &str)> = found
            .iter()
            .map(|mend| (mend.line, mend.before.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (2, "servr"),
                (4, "admin_listn"),
                (8, "roundrobin"),
                (9, "conect"),
                (10, "api_kyes"),
                (13, "api_kye"),
                (14, "circuit_braker"),
            ]
        );
        let expected = text
            .replace("servr", "server")
            .replace("listn", "listen")
            .replace("\"roundrobin", "\"round_robin")
            .replace("conect", "connect")
            .replace("api_kye", "api_key")
            .replace("braker", "breaker");
        assert_eq!(mended(text, &found), expected);
    }

    #[test]
    fn a_key_of_toml_is_mended_in_all_its_places() {
        let text = r#"
servr.listen = "127.0.0.1:1"
servr.admin_listen = "off"
[[llm.providrs]]
name = "a"
[llm.providrs.limits]
rpm = 1
[[ llm . "providrs" ]]
name = "providrs"
"#;
        let problems = [
            problem("servr", "unknown key", "did you mean `server`?"),
            problem("llm.providrs", "unknown key", "did you mean `providers`?"),
        ];
        let found = in_file("p.toml", text, &problems);
        let lines: Vec<usize> = found.iter().map(|mend| mend.line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 8]);
        let expected = text
            .replace("servr", "server")
            .replace("providrs", "providers")
            .replace("name = \"providers", "name = \"providrs");
        assert_eq!(mended(text, &found), expected);
    }

    proptest! {
        #[test]
        fn nothing_panics_whatever_the_text_is(text in "\\PC{0,80}", place in "[a-c.\\[\\]0-1]{0,8}") {
            let problems = [problem(&place, "unknown key", "did you mean `x`?")];
            for name in ["p.yaml", "p.toml"] {
                let found = in_file(name, &text, &problems);
                let _ = mended(&text, &found);
            }
        }
    }
}
