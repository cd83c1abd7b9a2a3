//! Compiled expressions. The language has no loops here (`all`, `exists`, `map`, `filter`), so an expression takes no more
//! steps than it has parts. Its parser is not made for hostile text: text comes from the configuration only, is short, has
//! sound brackets, and is read on a thread of its own. A trial run at load finds what no request could make right.

mod error;
mod fields;
mod samples;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, LiteralValue};
use cel::{Context, Env, ExecutionError, IdedExpr, Program, Value};
use error::{CelError, DEEPEST, LONGEST};
use fields::{FIELDS, Field, Input};

use crate::domain::asked::RequestShape;
use crate::domain::score_expression::ScoreExpression;
use crate::domain::when::{Condition, ConditionSubject};

/// For the parser, whose frames are large; it is touched only as far as it is used.
const STACK: usize = 64 * 1024 * 1024;
/// The longest value of a header that an expression sees, in bytes.
const LONGEST_HEADER: usize = 1024;
/// The variable of the request's headers, which has no fixed fields.
const HEADERS: &str = "headers";
/// Headers that no expression sees.
const SECRET: [&str; 6] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-goog-api-key",
];

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What a text became.
#[derive(Debug)]
pub(super) struct Compiled<E> {
    pub expression: E,
    /// A field that not every request or upstream has, and without which the expression fails.
    pub missing: Option<String>,
}

/// A condition that is ready.
#[derive(Debug)]
pub(super) struct CelCondition(CelProgram);

/// A score that is ready.
#[derive(Debug)]
pub(super) struct CelScore(CelProgram);

/// What is to come of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CelKind {
    Truth,
    Number,
}

impl CelKind {
    const fn words(self) -> &'static str {
        match self {
            Self::Truth => "true or false",
            Self::Number => "a number",
        }
    }

    const fn takes(self, value: &Value) -> bool {
        match self {
            Self::Truth => matches!(value, Value::Bool(_)),
            Self::Number => matches!(value, Value::Int(_) | Value::UInt(_) | Value::Float(_)),
        }
    }
}

/// An expression that is ready.
struct CelProgram {
    text: String,
    /// What comes of it.
    kind: CelKind,
    program: Program,
    /// The variables that it speaks of, each with its fields that it names.
    variables: Vec<(&'static str, Vec<&'static Field>)>,
    /// Whether it speaks of headers.
    has_headers: bool,
    /// What may be names of headers in it, in small letters.
    headers: Vec<String>,
}

impl std::fmt::Debug for CelProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a condition: an expression that is true or false.
pub(super) fn condition(text: &str) -> Result<Compiled<CelCondition>, CelError> {
    let (program, missing) = compile(text, CelKind::Truth)?;
    let expression = CelCondition(program);
    Ok(Compiled {
        expression,
        missing,
    })
}

/// Reads a score: an expression that is a number.
pub(super) fn score(text: &str) -> Result<Compiled<CelScore>, CelError> {
    let (program, missing) = compile(text, CelKind::Number)?;
    let expression = CelScore(program);
    Ok(Compiled {
        expression,
        missing,
    })
}

/// Reads an expression, and finds the field that may be missing.
fn compile(text: &str, kind: CelKind) -> Result<(CelProgram, Option<String>), CelError> {
    if text.is_empty() {
        return Err(CelError::Empty);
    }
    if text.len() > LONGEST {
        return Err(CelError::Long);
    }
    sketch::check(text)?;
    let own = text.to_owned();
    let thread = std::thread::Builder::new()
        .name("cel".to_owned())
        .stack_size(STACK);
    let reading = thread.spawn(move || {
        let program = read(own, kind)?;
        let missing = program.tried()?;
        Ok((program, missing))
    });
    let read = reading.map_err(|_| CelError::Unreadable)?.join();
    read.unwrap_or(Err(CelError::Unreadable))
}

fn read(text: String, kind: CelKind) -> Result<CelProgram, CelError> {
    let program = Program::compile(&text).map_err(|errors| {
        let said = errors.to_string();
        let first = said.lines().next().unwrap_or_default();
        CelError::Syntax(first.chars().take(200).collect())
    })?;
    let mut words = Vec::new();
    look(program.expression(), 0, &mut words)?;
    let spoken = program.references();
    let is_variable = |name: &str| name == HEADERS || FIELDS.iter().any(|it| it.variable == name);
    if let Some(unknown) = spoken.variables().into_iter().find(|it| !is_variable(it)) {
        return Err(CelError::Variable(unknown.to_owned()));
    }
    let has_headers = spoken.has_variable(HEADERS);
    let mut variables: Vec<(&'static str, Vec<&'static Field>)> = Vec::new();
    for field in FIELDS.iter().filter(|it| spoken.has_variable(it.variable)) {
        let at = variables
            .iter()
            .position(|(name, _)| *name == field.variable);
        let at = at.unwrap_or_else(|| {
            variables.push((field.variable, Vec::new()));
            variables.len() - 1
        });
        let named = words.iter().any(|word| word == field.name);
        if let Some((_, fields)) = variables.get_mut(at).filter(|_| named) {
            fields.push(field);
        }
    }
    let mut headers: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    headers.sort_unstable();
    headers.dedup();
    headers.retain(|name| has_headers && !SECRET.contains(&&**name));
    Ok(CelProgram {
        variables,
        kind,
        has_headers,
        headers,
        text,
        program,
    })
}

/// Looks into an expression: how deep it is, that it has no loops and no unknown fields, and what texts and fields are in it.
fn look(at: &IdedExpr, depth: usize, words: &mut Vec<String>) -> Result<(), CelError> {
    if depth > DEEPEST {
        return Err(CelError::Deep);
    }
    let deeper = depth + 1;
    match &at.expr {
        Expr::Unspecified | Expr::Ident(_) => Ok(()),
        Expr::Comprehension(_) => Err(CelError::Loop),
        Expr::Call(call) => {
            let target = call.target.as_deref().into_iter();
            let mut parts = target.chain(&call.args);
            parts.try_for_each(|part| look(part, deeper, words))
        }
        Expr::List(list) => {
            let mut parts = list.elements.iter();
            parts.try_for_each(|part| look(part, deeper, words))
        }
        Expr::Select(select) => {
            if let Expr::Ident(variable) = &select.operand.expr {
                known_field(variable, &select.field)?;
            }
            words.push(select.field.clone());
            look(&select.operand, deeper, words)
        }
        Expr::Map(map) => look_at_entries(&map.entries, deeper, words),
        Expr::Struct(all) => look_at_entries(&all.entries, deeper, words),
        Expr::Literal(LiteralValue::String(text)) => {
            words.push(text.inner().to_owned());
            Ok(())
        }
        Expr::Literal(_) => Ok(()),
    }
}

fn look_at_entries(
    entries: &[IdedEntryExpr],
    depth: usize,
    words: &mut Vec<String>,
) -> Result<(), CelError> {
    entries.iter().try_for_each(|entry| match &entry.expr {
        EntryExpr::StructField(field) => look(&field.value, depth, words),
        EntryExpr::MapEntry(entry) => {
            look(&entry.key, depth, words)?;
            look(&entry.value, depth, words)
        }
    })
}

/// Whether a variable has that field; what is no variable is found out later.
fn known_field(variable: &str, field: &str) -> Result<(), CelError> {
    let known = FIELDS.iter().filter(|it| it.variable == variable);
    let known: Vec<&str> = known.map(|it| it.name).collect();
    if known.is_empty() || known.contains(&field) {
        return Ok(());
    }
    Err(CelError::Field {
        variable: variable.to_owned(),
        field: field.to_owned(),
        known: known.join(", "),
    })
}

/// Why a run told nothing.
enum RunError {
    /// A value of another kind came out.
    Kind(&'static str),
    /// The language says so.
    Execution(ExecutionError),
    /// The library panicked.
    Panicked,
}

impl CelProgram {
    /// A value of its kind, for that member.
    fn value(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<Value> {
        let input = Input {
            asked,
            candidate,
            local,
        };
        self.run(&input).ok()
    }

    fn run(&self, input: &Input<'_>) -> Result<Value, RunError> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        for (variable, fields) in &self.variables {
            let fields = fields.iter();
            let known = fields.filter_map(|it| Some((it.name.to_owned(), (it.read)(input)?)));
            let known: HashMap<String, Value> = known.collect();
            context.add_variable_from_value(*variable, known);
        }
        if self.has_headers {
            let names = self.headers.iter();
            let found = names.filter_map(|name| {
                let value = input.asked.details.header(name)?;
                let fits = value.len() <= LONGEST_HEADER;
                fits.then(|| (name.clone(), Value::from(value)))
            });
            let found: HashMap<String, Value> = found.collect();
            context.add_variable_from_value(HEADERS, found);
        }
        // Whatever the library does with odd values: the expression has failed.
        let run = AssertUnwindSafe(|| self.program.execute(&context));
        match catch_unwind(run) {
            Ok(Ok(value)) if self.kind.takes(&value) => Ok(value),
            Ok(Ok(other)) => Err(RunError::Kind(kind(&other))),
            Ok(Err(error)) => Err(RunError::Execution(error)),
            Err(_) => Err(RunError::Panicked),
        }
    }

    /// Runs it for a request that has everything, and for one that has only what all have. What is missing then is
    /// returned; what no request could make right is an error.
    fn tried(&self) -> Result<Option<String>, CelError> {
        match samples::with(true, |input| self.run(input)) {
            Err(RunError::Kind(found)) => {
                let wanted = self.kind.words();
                return Err(CelError::Kind { found, wanted });
            }
            Err(RunError::Execution(error)) if is_always(&error) => {
                let said = error.to_string();
                return Err(CelError::Wrong(said.chars().take(200).collect()));
            }
            Err(RunError::Panicked) => return Err(CelError::Unreadable),
            Ok(_) | Err(RunError::Execution(_)) => {}
        }
        match samples::with(false, |input| self.run(input)) {
            Err(RunError::Execution(ExecutionError::NoSuchKey(field))) => {
                Ok(Some((*field).clone()))
            }
            _ => Ok(None),
        }
    }
}

/// Whether an error does not depend on the request: kinds of values, and functions that are not there.
fn is_always(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::UndeclaredReference(_)
            | ExecutionError::NoSuchOverload(_)
            | ExecutionError::InvalidArgumentCount { .. }
            | ExecutionError::MissingArgumentOrTarget
            | ExecutionError::NotSupportedAsMethod { .. }
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnsupportedIndex(..)
            | ExecutionError::UnsupportedKeyType(_)
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::ValuesNotComparable(..)
    )
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        _ => "something else",
    }
}

impl Condition for CelCondition {
    fn text(&self) -> &str {
        &self.0.text
    }

    fn holds(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<bool> {
        match self.0.value(asked, candidate, local)? {
            Value::Bool(holds) => Some(holds),
            _ => None,
        }
    }
}

impl ScoreExpression for CelScore {
    fn text(&self) -> &str {
        &self.0.text
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "scores are compared, not added up"
    )]
    fn score(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<f64> {
        let score = match self.0.value(asked, candidate, local)? {
            Value::Int(score) => score as f64,
            Value::UInt(score) => score as f64,
            Value::Float(score) => score,
            _ => return None,
        };
        // Such as what is divided by a price of zero.
        score.is_finite().then_some(score)
    }
}
