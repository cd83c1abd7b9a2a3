//! Everything that can be wrong with a configuration.

use std::fmt;
use std::mem;
use std::path::PathBuf;

use super::mask::masked;

/// One mistake in a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file and key path, or the variable: `pointsman.yaml llm.providers[0].rpm`.
    pub place: String,
    /// What is wrong. Never key material.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Why there is no configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// Neither a file nor a key: nothing could be served.
    #[error(
        "nothing is configured: there is no configuration file and no provider key in the environment.
Three ways on:
  1. set a provider's key, for example GROQ_API_KEY=… or OPENAI_API_KEY=…
  2. write a pointsman.yaml here, or name a file with --config FILE
  3. try it without any key: pointsman serve --demo{}",
        .unread.as_ref().map(|unread| format!("\n{unread}")).unwrap_or_default()
    )]
    NothingConfigured {
        /// The lines of `.env` that could not be read: a key may be in them.
        unread: Option<String>,
    },
    /// Mistakes, all of them.
    #[error("{}", list(.problems))]
    Invalid {
        /// The mistakes, in the order in which they were found.
        problems: Vec<Problem>,
        /// The files that were looked at, also those that do not exist: a change of one may mend it.
        files: Vec<PathBuf>,
    },
}

impl ConfigErrors {
    /// One mistake that is in no file.
    pub fn one(problem: Problem) -> Self {
        Self::invalid(vec![problem], Vec::new(), &[])
    }

    /// These mistakes, in which nothing is shown that looks like a key, nor any of `suspects`.
    pub(super) fn invalid(
        mut problems: Vec<Problem>,
        files: Vec<PathBuf>,
        suspects: &[String],
    ) -> Self {
        for problem in &mut problems {
            let texts = [&mut problem.place, &mut problem.message];
            for text in texts.into_iter().chain(&mut problem.suggestion) {
                *text = masked(&mem::take(text), suspects).into_owned();
            }
        }
        Self::Invalid { problems, files }
    }

    /// The files that were looked at before it was known that there are mistakes.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::NothingConfigured { .. } => &[],
            Self::Invalid { files, .. } => files,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    };
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("\n  - {problem}"))
        .collect();
    format!("the configuration has {count}:{}", lines.concat())
}
