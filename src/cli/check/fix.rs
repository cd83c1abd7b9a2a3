//! `pointsman check --fix`: mends mistakes that have one obvious mend, after asking.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigErrors, LoadRequest, Mend, Problem};
use crate::domain::shown::plain;

/// Mends may show further mistakes, which are looked for so often.
const ROUNDS: usize = 5;

/// What became of the mistakes.
pub(in crate::cli) enum FixEnd {
    /// There were none.
    Nothing,
    /// The file was changed; further mistakes are found when it is read.
    Written(PathBuf, usize),
    /// None has an obvious mend.
    NoMend(ConfigErrors),
    /// There are mends, and nobody said yes.
    Declined(ConfigErrors),
    /// The file cannot be written.
    Unwritten(PathBuf, io::Error),
}

/// Looks for mistakes with an obvious mend, shows the mends, and writes them with `yes`, or when a person at the terminal says
/// so.
pub(in crate::cli) fn fix(request: &LoadRequest, yes: bool) -> FixEnd {
    let errors = match config::load(request) {
        Ok(_) => return FixEnd::Nothing,
        Err(errors) => errors,
    };
    let ConfigErrors::Invalid { problems, files } = &errors else {
        return FixEnd::NoMend(errors);
    };
    let file = request
        .config_path
        .clone()
        .or_else(|| files.first().cloned());
    let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
    let Some((file, text)) = file.zip(text) else {
        return FixEnd::NoMend(errors);
    };
    let (all, mended) = all_mends(&file, &text, problems, request);
    if all.is_empty() {
        return FixEnd::NoMend(errors);
    }
    show(&file, &all);
    if !yes && !agreed(&file) {
        return FixEnd::Declined(errors);
    }
    match write(&file, &mended) {
        Ok(()) => FixEnd::Written(file, all.len()),
        Err(error) => FixEnd::Unwritten(file, error),
    }
}

/// The mends of all mistakes, also of those that show when others are mended, and the text with them.
fn all_mends(
    file: &Path,
    text: &str,
    problems: &[Problem],
    request: &LoadRequest,
) -> (Vec<Mend>, String) {
    let mut all = Vec::new();
    let mut text = text.to_owned();
    let mut problems = problems.to_vec();
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let request = LoadRequest {
        // Relative paths are those of the file.
        working_dir: dir.map_or_else(
            || request.working_dir.clone(),
            |dir| request.working_dir.join(dir),
        ),
        ..request.clone()
    };
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    for _ in 0..ROUNDS {
        let found = config::mends(file, &text, &problems);
        if found.is_empty() {
            break;
        }
        text = config::mended(&text, &found);
        all.extend(found);
        let read: Result<Config, ConfigErrors> = config::load_text(&name, &text, &request);
        match read {
            Err(ConfigErrors::Invalid { problems: left, .. }) => problems = left,
            _ => break,
        }
    }
    (all, text)
}

fn show(file: &Path, mends: &[Mend]) {
    let mut out = String::new();
    for mend in mends {
        let (path, before, after) = (
            plain(&mend.path, false),
            plain(&mend.before, false),
            plain(&mend.after, false),
        );
        let (file, line) = (file.display(), mend.line);
        out.push_str(&format!(
            "{file}:{line}: {path}: `{before}` becomes `{after}`\n"
        ));
    }
    // Who does not see the question answers nothing.
    drop(io::stderr().write_all(out.as_bytes()));
}

fn agreed(file: &Path) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    drop(write!(io::stderr(), "Write {}? [y/N] ", file.display()));
    let mut line = String::new();
    drop(io::stdin().lock().read_line(&mut line));
    matches!(line.trim(), "y" | "Y" | "yes")
}

/// Puts the text in the file's place, with its permissions.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, text)?;
    fs::set_permissions(&new, fs::metadata(file)?.permissions())?;
    fs::rename(&new, file)
}
