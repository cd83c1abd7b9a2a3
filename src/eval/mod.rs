//! Floor 3: cases, and whether answers are as they should be: a subset of promptfoo's files and assertions.
//!
//! Pure: a file's text in, requests out; answers in, verdicts out.

mod answer;
mod assertion;
mod file;
mod junit;
mod schema;
mod verdict;

pub use self::answer::EvalAnswer;
pub use self::file::{EvalCase, EvalError, EvalFile, EvalTarget, read};
pub use self::junit::junit;
pub use self::verdict::{CaseResult, judged};
