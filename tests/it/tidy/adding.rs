//! The pages of `docs/adding` name files and identifiers that exist, and promise no fewer edits than are needed.

use std::fs;

use super::{none, read, root};

/// Page, files or folders to add, files to edit.
const PAGES: [(&str, usize, usize); 6] = [
    ("configuration-key", 0, 2),
    ("dialect", 1, 2),
    ("metric", 0, 7),
    ("operation", 0, 1),
    ("policy", 1, 1),
    ("provider", 0, 1),
];
const VERBS: [&str; 5] = ["Add", "Edit", "May edit", "Describe", "Regenerate"];

#[test]
fn the_guides_to_additions_fit_the_tree() {
    let mut problems = Vec::new();
    for (page, adds, edits) in PAGES {
        let text = read(&format!("docs/adding/{page}.md"));
        let lines: Vec<_> = text.lines().filter_map(instruction).collect();
        for (verb, path, words) in &lines {
            problems.extend(mistake(verb, path, words).map(|why| format!("{page}.md: {why}")));
        }
        for (wanted, count) in [("Add", adds), ("Edit", edits)] {
            let found = lines.iter().filter(|(verb, ..)| *verb == wanted).count();
            if found != count {
                problems.push(format!("{page}.md: {found} times {wanted}, not {count}"));
            }
        }
        for index in ["CONTRIBUTING.md", "docs/architecture.md"] {
            if !read(index).contains(&format!("adding/{page}.md")) {
                problems.push(format!("{index} does not link docs/adding/{page}.md"));
            }
        }
    }
    none("docs/adding: say what is true now", &problems);
}

/// Verb, path and quoted words of a line such as "- Edit `src/a.rs`: `NAME`, `other`".
fn instruction(line: &str) -> Option<(&'static str, &str, Vec<&str>)> {
    let line = line.strip_prefix("- ")?;
    let verb = VERBS
        .into_iter()
        .find(|verb| line.starts_with(&format!("{verb} `")))?;
    let mut quoted = line.split('`').skip(1).step_by(2);
    let path = quoted.next()?;
    Some((verb, path, quoted.collect()))
}

fn mistake(verb: &str, path: &str, words: &[&str]) -> Option<String> {
    if verb == "Add" {
        let (folder, _) = path.split_once("/<name>")?;
        return (!root().join(folder).is_dir()).then(|| format!("there is no folder {folder}"));
    }
    let Ok(text) = fs::read_to_string(root().join(path)) else {
        return Some(format!("there is no file {path}"));
    };
    let missing = words
        .iter()
        .find(|word| verb != "Regenerate" && !text.contains(**word))?;
    Some(format!("{path} has no {missing}"))
}
