//! `pointsman import`: another program's settings as a configuration, and what became of each of their fields.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::arguments::{Import, Program, ReportForm};
use super::exit::{BAD_INPUT, complain, say, say_json, tell};
use crate::import::{FieldKind, FieldReport, ImportError, ImportFormat, Imported, import};

/// The largest file that is read.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn run(arguments: &Import) -> ExitCode {
    let format = format(arguments.from);
    let file = arguments
        .file
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let name = file.map_or_else(
        || "standard input".to_owned(),
        |path| path.display().to_string(),
    );
    let text = match file {
        Some(path) => File::open(path)
            .map_err(|error| error.to_string())
            .and_then(read),
        None => read(std::io::stdin().lock()),
    };
    let text = match text {
        Ok(text) => text,
        Err(why) => return refuse(&name, &format!("can't be read: {why}"), arguments.json),
    };
    let dir = file
        .and_then(Path::parent)
        .map_or_else(PathBuf::new, Path::to_path_buf);
    let include = |name: &str| {
        let file = File::open(dir.join(name)).map_err(|error| error.to_string())?;
        read(file)
    };
    match import(format, &text, arguments.copy_keys, &include) {
        Ok(imported) => finish(&imported, format, arguments),
        Err(error) => {
            if let ImportError::Empty(fields) = &error {
                report(fields, &[], format, arguments);
            }
            refuse(&name, &error.to_string(), arguments.json)
        }
    }
}

const fn format(program: Program) -> ImportFormat {
    match program {
        Program::LiteLlm => ImportFormat::LiteLlm,
        Program::Portkey => ImportFormat::Portkey,
        Program::LlmRouter => ImportFormat::LlmRouter,
        Program::LlmGateway => ImportFormat::LlmGateway,
        Program::OpenRouter => ImportFormat::OpenRouter,
        Program::ClaudeCodeRouter => ImportFormat::ClaudeCodeRouter,
    }
}

/// All of a file, as text, within the limit.
fn read(file: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| error.to_string())?;
    if u64::try_from(read).is_ok_and(|read| read > MOST_BYTES) {
        return Err(format!("it is larger than {MOST_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn refuse(name: &str, why: &str, as_json: bool) -> ExitCode {
    if as_json {
        say_json(&format!(
            "{:#}\n",
            json!({"ok": false, "problems": [format!("{name} {why}")]})
        ));
    } else {
        complain(&format!("{name} {why}"));
    }
    ExitCode::from(BAD_INPUT)
}

fn finish(imported: &Imported, format: ImportFormat, arguments: &Import) -> ExitCode {
    if arguments.json {
        let mut document = document(&imported.fields, &imported.variables, format);
        document["ok"] = json!(true);
        document["configuration"] = json!(imported.yaml);
        say_json(&format!("{document:#}\n"));
    } else {
        say(&imported.yaml);
        report(&imported.fields, &imported.variables, format, arguments);
    }
    let lost = imported
        .fields
        .iter()
        .any(|field| field.kind == FieldKind::Unsupported);
    match lost && arguments.strict {
        true => ExitCode::from(BAD_INPUT),
        false => ExitCode::SUCCESS,
    }
}

fn report(fields: &[FieldReport], variables: &[String], format: ImportFormat, arguments: &Import) {
    match arguments.report {
        _ if arguments.json => {}
        ReportForm::None => {}
        ReportForm::Json => tell(
            &format!("{:#}\n", document(fields, variables, format)),
            true,
        ),
        ReportForm::Text => tell(&table(fields, variables, format), false),
    }
}

fn count(fields: &[FieldReport], kind: FieldKind) -> usize {
    fields.iter().filter(|field| field.kind == kind).count()
}

/// The report for machines.
fn document(fields: &[FieldReport], variables: &[String], format: ImportFormat) -> Value {
    let entry = |field: &FieldReport| {
        json!({
            "path": field.path,
            "value": field.value,
            "became": field.became,
            "kind": field.kind.as_str(),
            "why": field.why,
        })
    };
    let mut counts = json!({});
    for kind in FieldKind::ALL {
        counts[kind.as_str()] = json!(count(fields, kind));
    }
    json!({
        "from": format.as_str(),
        "counts": counts,
        "variables": variables,
        "fields": fields.iter().map(entry).collect::<Vec<_>>(),
    })
}

/// The report for people: what is lost comes first.
fn table(fields: &[FieldReport], variables: &[String], format: ImportFormat) -> String {
    let counts = FieldKind::ALL.map(|kind| format!("{} {}", count(fields, kind), kind.as_str()));
    // Writing to a text never fails.
    let mut out = format!(
        "{}: {} fields: {}\n",
        format.as_str(),
        fields.len(),
        counts.join(", ")
    );
    for kind in FieldKind::ALL.into_iter().rev() {
        let of_kind: Vec<&FieldReport> = fields.iter().filter(|field| field.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{}", kind.as_str());
        for field in of_kind {
            let value = if field.value.is_empty() {
                String::new()
            } else {
                format!(" = {}", field.value)
            };
            let became = if field.became.is_empty() {
                String::new()
            } else {
                format!(" -> {}", field.became)
            };
            let _ = writeln!(out, "  {}{value}{became}", field.path);
            if !field.why.is_empty() {
                let _ = writeln!(out, "      {}", field.why);
            }
        }
    }
    if !variables.is_empty() {
        let _ = writeln!(out, "\nset these variables: {}", variables.join(", "));
    }
    out
}
