//! The house rules that no compiler checks. Each failure says what to do.
//!
//! Floors and crates are those of `docs/architecture.md`; actors and messages are described in `actors.md`.

mod adding;
mod house;
mod mutants;
mod names;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use house::{CRATES, FLOORS, KNOWN_CYCLES};
use source::File;

/// The laws of `actors.md`.
const LAWS: usize = 12;
const MOST_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(!text.is_empty(), "{path} is missing or empty");
    text
}

/// Fails with all problems at once.
fn none(what: &str, problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{what}:\n  {}\n",
        problems.join("\n  ")
    );
}

fn home(file: &File) -> &str {
    file.module.first().map_or("lib", String::as_str)
}

fn floor_of(name: &str) -> Option<(u8, &'static [&'static str])> {
    let found = FLOORS.iter().find(|(floor, ..)| *floor == name)?;
    Some((found.1, found.2))
}

#[test]
fn every_module_has_a_floor() {
    let unknown = source::read_all(&root())
        .into_iter()
        .filter(|file| floor_of(home(file)).is_none());
    let problems: Vec<String> = unknown.map(|file| format!("src/{}", file.path)).collect();
    none(
        "give these a floor in tests/it/tidy/house.rs and docs/architecture.md",
        &problems,
    );
}

#[test]
fn arrows_point_down() {
    let mut problems = Vec::new();
    for file in source::read_all(&root()) {
        let from = home(&file);
        let Some((floor, beside)) = floor_of(from) else {
            continue;
        };
        for used in file.paths.iter().chain(&file.test_paths) {
            let Some(path) = file.absolute(used) else {
                continue;
            };
            let Some(to) = path.first().map(String::as_str) else {
                continue;
            };
            let Some((below, _)) = floor_of(to) else {
                continue;
            };
            if to == from || below < floor || beside.contains(&to) {
                continue;
            }
            let way = if below == floor { "sideways" } else { "up" };
            problems.push(format!(
                "src/{}:{}: `{}` points {way}, from {from} (floor {floor}) to {to} (floor {below}): \
                 move what is needed to a floor below both, or hand it in as an argument",
                file.path,
                used.line,
                path.join("::")
            ));
        }
    }
    none("dependencies point down only", &problems);
}

#[test]
fn no_file_uses_itself_by_way_of_others() {
    let files = source::read_all(&root());
    let by_module: BTreeMap<&[String], &str> = files
        .iter()
        .map(|file| (&file.module[..], file.path.as_str()))
        .collect();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.module.is_empty()) {
        for path in file.paths.iter().filter_map(|used| file.absolute(used)) {
            let target = (1..=path.len())
                .rev()
                .find_map(|n| by_module.get(path.get(..n)?));
            if let Some(target) = target.filter(|target| **target != file.path) {
                uses.entry(&file.path).or_default().insert(target);
            }
        }
    }
    let found = cycles(&uses);
    let known: Vec<Vec<&str>> = KNOWN_CYCLES
        .iter()
        .map(|(files, _)| files.to_vec())
        .collect();
    let mut problems = Vec::new();
    for group in found.iter().filter(|group| !known.contains(group)) {
        let mut text = "move what they share to a file below them:".to_owned();
        for file in group {
            let inside = uses
                .get(file)
                .into_iter()
                .flatten()
                .filter(|used| group.contains(used));
            let used: Vec<&str> = inside.copied().collect();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    src/{file} uses {}", used.join(", "));
        }
        problems.push(text);
    }
    for group in known.iter().filter(|group| !found.contains(group)) {
        problems.push(format!(
            "KNOWN_CYCLES: {} is one no longer, remove it",
            group.join(", ")
        ));
    }
    none("files that use each other in a circle", &problems);
}

/// The strongly connected groups of more than one file, each sorted.
fn cycles<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reach = |from: &'a str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for used in uses.get(file).into_iter().flatten() {
                if seen.insert(*used) {
                    next.push(used);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|file| (*file, reach(file))).collect();
    let mut groups = BTreeSet::new();
    for (file, seen) in reached.iter().filter(|(file, seen)| seen.contains(*file)) {
        let back = |other: &&&str| reached.get(**other).is_some_and(|seen| seen.contains(file));
        groups.insert(seen.iter().filter(back).copied().collect::<Vec<_>>());
    }
    groups.into_iter().collect()
}

#[test]
fn crates_stay_where_they_belong() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let declared: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect();
    let mut problems = Vec::new();
    let mut used_somewhere = BTreeSet::new();
    for name in declared
        .iter()
        .filter(|name| !CRATES.iter().any(|(known, ..)| known == name))
    {
        problems.push(format!(
            "{name}: say in tests/it/tidy/house.rs where it may be named"
        ));
    }
    for (name, ..) in CRATES.iter().filter(|(name, ..)| !declared.contains(*name)) {
        problems.push(format!(
            "{name}: no dependency any more, remove it from tests/it/tidy/house.rs"
        ));
    }
    for file in source::read_all(&root()) {
        for used in &file.paths {
            let Some(name) = file.outside(used, &declared) else {
                continue;
            };
            used_somewhere.insert(name.to_owned());
            let Some((_, homes, instead)) = CRATES.iter().find(|(known, ..)| *known == name) else {
                continue;
            };
            let allowed = homes.iter().any(|home| {
                Path::new(&file.path).starts_with(home) || file.path == format!("{home}.rs")
            });
            if !allowed {
                problems.push(format!(
                    "src/{}:{}: `{name}` belongs to {}: {instead}",
                    file.path,
                    used.line,
                    homes.join(", ")
                ));
            }
        }
    }
    for name in declared.difference(&used_somewhere) {
        problems.push(format!(
            "{name}: nothing in src/ names it, remove it from Cargo.toml"
        ));
    }
    none("crates outside their place", &problems);
}

#[test]
fn below_floor_three_nobody_reads_a_clock() {
    let mut problems = Vec::new();
    for file in source::read_all(&root()) {
        if floor_of(home(&file)).is_none_or(|(floor, _)| floor >= 3) {
            continue;
        }
        for used in &file.paths {
            if let [.., clock, now] = used.segments.as_slice()
                && now == "now"
                && (clock == "Instant" || clock == "SystemTime")
            {
                problems.push(format!(
                    "src/{}:{}: take the time as an argument",
                    file.path, used.line
                ));
            }
        }
    }
    none("clocks below floor 3", &problems);
}

#[test]
fn every_file_says_what_it_is_about_and_stays_readable() {
    let mut problems = Vec::new();
    for file in source::read_all(&root()) {
        let tests = file.path.ends_with("tests.rs");
        if !file.text.starts_with("//! ") && !tests {
            problems.push(format!(
                "src/{}: begin with a `//!` line: what is it about, and why is it there?",
                file.path
            ));
        }
        let lines = file.text.lines().count();
        if lines > MOST_LINES && !tests {
            problems.push(format!("src/{}: {lines} lines, at most {MOST_LINES}: it has more than one subject, split it", file.path));
        }
    }
    none("files", &problems);
}

#[test]
fn nothing_is_left_to_do() {
    let mut problems = Vec::new();
    for file in source::read_all(&root()) {
        for pair in file.tokens.windows(2) {
            if let [name, fingerprint] = pair
                && fingerprint.text == "!"
                && ["todo", "unimplemented", "dbg"].contains(&name.text.as_str())
            {
                problems.push(format!("src/{}:{}: {}!", file.path, name.line, name.text));
            }
        }
    }
    none("finish these, or refuse with a typed error", &problems);
}

#[test]
fn actors_md_describes_every_actor_and_every_message() {
    let text = read("actors.md");
    let sections: BTreeMap<String, &str> = text
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(title, body)| (title.trim_start_matches("The ").to_lowercase(), body))
        .collect();
    let mut problems = Vec::new();
    for file in source::read_all(&root()) {
        let parts: Vec<&str> = file.module.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["actors", actor]
                if file.path.ends_with("/mod.rs")
                    && *actor != "message"
                    && !sections.contains_key(*actor) =>
            {
                problems.push(format!("there is no section `## The {actor}`"));
            }
            ["actors", "message", actor] => {
                let section = sections.get(*actor).copied().unwrap_or_default();
                for variant in message_variants(&file) {
                    if !section.contains(&format!("`{variant}`")) {
                        problems.push(format!(
                            "`{variant}` is not in the section `## The {actor}`"
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    none(
        "actors.md: describe sender, reply, and what happens if it is lost",
        &problems,
    );
}

/// The variants of the enums whose name ends in `Message`.
fn message_variants(file: &File) -> Vec<String> {
    let mut variants = Vec::new();
    let mut tokens = file.tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        let named = token.text == "enum"
            && tokens
                .peek()
                .is_some_and(|name| name.text.ends_with("Message"));
        if !named {
            continue;
        }
        let mut depth = 0_usize;
        let mut fresh = true;
        for token in tokens.by_ref().skip(1) {
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                "," if depth == 1 => fresh = true,
                name if depth == 1 && fresh && name != "#" => {
                    variants.push(name.to_owned());
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    assert!(
        !variants.is_empty(),
        "src/{} has no enum …Message with variants",
        file.path
    );
    variants
}

#[test]
fn every_law_is_named() {
    let text = read("actors.md") + &read("docs/architecture.md");
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let laws = (1..=LAWS).map(|number| format!("L{number}"));
    let missing: Vec<String> = laws.filter(|law| !words.contains(law.as_str())).collect();
    none(
        "actors.md or docs/architecture.md: name these laws and what holds them",
        &missing,
    );
}

#[test]
fn every_planted_bug_fits_the_tree() {
    let (problems, patches) = mutants::problems(&root());
    none(
        "tests/mutants: write these patches anew, so that they plant the same bugs where the code is now",
        &problems,
    );
    assert!(patches > 20, "tests/mutants has {patches} patches");
}
