//! `state`: a path or nothing.

use super::*;

const PROVIDERS: &str = "llm: {providers: [{name: echo}]}";

#[test]
fn nothing_is_kept_unless_a_path_is_named() {
    assert_eq!(yaml(PROVIDERS, &[]).unwrap().state_path, None);
    let dir = yaml(&format!("state: {{path: keys.json}}\n{PROVIDERS}"), &[])
        .unwrap()
        .state_path;
    assert!(dir.is_some_and(|path| path.ends_with("keys.json")));
    let text = format!("state: {{path: /var/lib/x/keys.json}}\n{PROVIDERS}");
    let path = yaml(&text, &[]).unwrap().state_path;
    assert_eq!(
        path.as_deref(),
        Some(std::path::Path::new("/var/lib/x/keys.json"))
    );
}

#[test]
fn the_environment_can_name_it() {
    let variables = [("POINTSMAN__STATE__PATH", "/var/x.json")];
    let path = yaml(PROVIDERS, &variables).unwrap().state_path;
    assert_eq!(path.as_deref(), Some(std::path::Path::new("/var/x.json")));
}

#[test]
fn a_path_that_names_no_file_is_a_mistake() {
    for typed in ["\"\"", "/var/lib/", "\" \""] {
        let problems = mistakes(&format!("state: {{path: {typed}}}\n{PROVIDERS}"), &[]);
        assert!(
            problems.contains("state.path: names no file; write"),
            "{problems}"
        );
    }
    let problems = mistakes(&format!("state: {{file: a}}\n{PROVIDERS}"), &[]);
    assert!(
        problems.contains("did you mean `path`?") || problems.contains("known here: path"),
        "{problems}"
    );
    let problems = mistakes(&format!("state: a.json\n{PROVIDERS}"), &[]);
    assert!(problems.contains("expected a map"), "{problems}");
}
