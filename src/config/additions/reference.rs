//! A reference to a secret: what says where it is, and is none itself.

use std::fmt;

use crate::wire::key_forms;

/// Longer ones are refused.
const LONGEST: usize = 4096;

/// Where a secret is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretReference {
    /// `env:NAME`: in a variable, or in `.env`; several with commas between them.
    Env(String),
    /// `file:PATH`: in a file, one per line, or in the files of a directory; relative to the configuration.
    File(String),
    /// `exec:PROGRAM ARGUMENT…`: what this program prints, one per line. No shell sees it.
    Exec(Vec<String>),
}

/// Why a text is no reference. None of these shows it: it may be a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It has none of the forms.
    #[error("a reference is env:NAME, file:PATH or exec:/PATH/OF/PROGRAM ARGUMENT…")]
    Form,
    /// The name of a variable has other characters.
    #[error("env: names no variable: its name has letters, digits and _ only")]
    Variable,
    /// No path.
    #[error("file: names no file")]
    Path,
    /// A program is looked up nowhere.
    #[error(
        "exec: begins with the whole path of a program, such as exec:/usr/local/bin/key-of groq"
    )]
    Program,
    /// What looks like a key is one.
    #[error(
        "this holds what looks like a key itself, and a reference is written to the state file: put the key into a variable or a file"
    )]
    Key,
}

impl SecretReference {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = text.trim();
        let pieces = || text.split(|c: char| c == '/' || c == ':' || c == '=' || c.is_whitespace());
        if pieces().any(key_forms::looks_like_key) {
            return Err(ReferenceError::Key);
        }
        let (form, rest) = text.split_once(':').ok_or(ReferenceError::Form)?;
        let rest = rest.trim();
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(ReferenceError::Form);
        }
        match form {
            "env" if is_variable(rest) => Ok(Self::Env(rest.to_owned())),
            "env" => Err(ReferenceError::Variable),
            "file" if rest.is_empty() => Err(ReferenceError::Path),
            "file" => Ok(Self::File(rest.to_owned())),
            "exec" => {
                let words: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
                let whole = words.first().is_some_and(|first| first.starts_with('/'));
                whole
                    .then_some(Self::Exec(words))
                    .ok_or(ReferenceError::Program)
            }
            _ => Err(ReferenceError::Form),
        }
    }
}

fn is_variable(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(plain)
        && text
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Exec(words) => write!(f, "exec:{}", words.join(" ")),
        }
    }
}
