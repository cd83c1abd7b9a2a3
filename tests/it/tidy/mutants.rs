//! Planted bugs (`tests/mutants/`): whether each patch still fits the tree. `git` is not asked: the old lines of each
//! change must stand in their file, once.

use std::fs;
use std::path::Path;

/// What is wrong with the patches, and how many there are.
pub(super) fn problems(root: &Path) -> (Vec<String>, usize) {
    let entries = fs::read_dir(root.join("tests/mutants"))
        .into_iter()
        .flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    let mut patches: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "patch"))
        .collect();
    patches.sort();
    let mut problems = Vec::new();
    for patch in &patches {
        let name = patch.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(patch).unwrap_or_default();
        let found = problems_of(&text, |file| fs::read_to_string(root.join(file)).ok());
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    (problems, patches.len())
}

fn problems_of(patch: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let first = patch.lines().next().unwrap_or_default();
    let laws = first.split_once(" Must break: ").map(|(_, laws)| laws);
    // The scenario that shows it, where the swarm does not.
    let laws = laws.and_then(|laws| match laws.split_once(". Scenario: ") {
        Some((laws, scenario)) => scenario.ends_with('.').then_some(laws),
        None => laws.strip_suffix('.'),
    });
    // The laws of fleets are counted by themselves.
    let is_law = |law: &str| law.starts_with(['L', 'F']);
    if !laws.is_some_and(|laws| laws.split(' ').all(is_law)) {
        problems.push("its first line does not end like `Must break: L1 L2.`".to_owned());
    }
    let sections = patch.split("\n+++ b/").skip(1);
    if sections.clone().count() == 0 {
        problems.push("it changes no file".to_owned());
    }
    for section in sections {
        let (file, hunks) = section.split_once('\n').unwrap_or((section, ""));
        let Some(text) = read(file) else {
            problems.push(format!("there is no {file}"));
            continue;
        };
        for hunk in hunks.split("@@ -").skip(1) {
            let old: String = hunk
                .lines()
                .skip(1)
                .filter_map(|line| line.strip_prefix([' ', '-']))
                .map(|line| format!("{line}\n"))
                .collect();
            let line = old
                .lines()
                .nth(old.lines().count() / 2)
                .unwrap_or_default()
                .trim();
            let starts = text.match_indices(&old).map(|(at, _)| &text[..at]);
            let whole_lines = |before: &&str| before.is_empty() || before.ends_with('\n');
            match starts.filter(whole_lines).count() {
                1 => {}
                0 => problems.push(format!("{file} has changed around `{line}`")),
                times => problems.push(format!("{file} has {times} places like `{line}`")),
            }
        }
    }
    problems
}

#[test]
fn a_patch_that_does_not_fit_is_found() {
    let patch =
        "A bug. Must break: L1 L2.\n\n--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n";
    let in_tree = |text: &'static str| move |_: &str| Some(text.to_owned());
    assert_eq!(
        problems_of(patch, in_tree("a\nb\nd\n")),
        Vec::<String>::new()
    );
    for text in ["a\nc\nd\n", "a\nb\nd\na\nb\nd\n", "xa\nb\nd\n"] {
        assert_eq!(problems_of(patch, in_tree(text)).len(), 1, "{text:?}");
    }
    assert_eq!(problems_of(patch, |_| None).len(), 1);
    assert_eq!(problems_of("A bug.\n", in_tree("")).len(), 2);
}
