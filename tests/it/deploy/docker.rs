//! The image: what is copied exists, nothing floats, nobody is root.

use std::collections::BTreeMap;

use super::files::{exists, none, read, walk};
use super::{BINARY, files};

const DOCKERFILE: &str = "deploy/docker/Dockerfile";

/// Instructions with their arguments; continued lines are one.
fn instructions() -> Vec<(String, String)> {
    let text = read(DOCKERFILE);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = joined.lines().filter_map(|line| line.split_once(' '));
    split
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn all(name: &str) -> Vec<String> {
    let found = instructions().into_iter().filter(|(it, _)| it == name);
    found.map(|(_, rest)| rest).collect()
}

/// The last instruction of that name: that of the final stage.
fn last(name: &str) -> String {
    all(name).pop().unwrap_or_else(|| panic!("no {name}"))
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

pub fn commands() -> Vec<Vec<String>> {
    let health = last("HEALTHCHECK");
    let (_, health) = health.split_once("CMD ").unwrap();
    let health = words(health);
    assert_eq!(words(&last("ENTRYPOINT")), [BINARY]);
    assert_eq!(health[0], BINARY);
    vec![words(&last("CMD")), health[1..].to_vec()]
}

/// The variables of the image.
pub fn env() -> BTreeMap<String, String> {
    let all = all("ENV").into_iter();
    all.map(|it| {
        let (name, value) = it.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    })
    .collect()
}

/// Which folders and files of the repository the build sees.
fn allowed() -> Vec<String> {
    let text = read(".dockerignore");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing but what is named");
    let named = lines[1..].iter();
    named
        .map(|line| line.strip_prefix('!').unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_copied_exists_and_is_let_in() {
    let mut problems = Vec::new();
    for name in allowed().iter().filter(|name| !exists(name)) {
        problems.push(format!(".dockerignore names {name}, which does not exist"));
    }
    for copy in all("COPY") {
        if copy.starts_with("--from=build") {
            continue;
        }
        let mut paths: Vec<&str> = copy.split_whitespace().collect();
        paths.pop();
        for path in paths {
            if !exists(path) || !allowed().iter().any(|name| name == path) {
                problems.push(format!("COPY {path}: .dockerignore does not let it in"));
            }
        }
    }
    // What is compiled in has to be copied.
    for file in walk("src").iter().filter(|file| !file.contains("tests")) {
        let text = read(file);
        for after in text.split("include_str!(\"").skip(1) {
            let path = after.split('"').next().unwrap_or_default();
            let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let from_root = match path.strip_prefix("../") {
                Some(above) => above.trim_start_matches("../").to_owned(),
                None => format!("{beside}/{path}"),
            };
            if !allowed()
                .iter()
                .any(|name| from_root.starts_with(name.as_str()))
            {
                problems.push(format!("{file} includes {path}, which is not copied"));
            }
        }
    }
    none("files of the image's build", &problems);
}

#[test]
fn the_placeholders_are_all_that_the_manifest_names() {
    let build = all("RUN").remove(0);
    let manifest = files::data("Cargo.toml");
    let mut named = Vec::new();
    for (kind, folder) in [
        ("bin", "src/bin"),
        ("bench", "benches"),
        ("example", "examples"),
        ("test", "tests"),
    ] {
        for target in files::list(&manifest, &format!("/{kind}")) {
            named.push(match files::text(target, "/path") {
                "" => format!("{folder}/{}.rs", files::text(target, "/name")),
                path => path.to_owned(),
            });
        }
    }
    assert!(named.len() >= 3, "{named:?}");
    let missing = named
        .into_iter()
        .filter(|path| !build.contains(path.as_str()));
    none(
        "targets without a placeholder in the Dockerfile's first RUN",
        &missing.collect::<Vec<_>>(),
    );
}

#[test]
fn images_are_pinned_and_the_user_is_a_number() {
    for from in all("FROM") {
        let image = from.split_whitespace().next().unwrap_or_default();
        let pinned = image
            .split_once(':')
            .is_some_and(|(_, tag)| tag != "latest");
        assert!(image == "scratch" || pinned, "{image}");
    }
    let user = last("USER");
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().unwrap()).collect();
    assert!(ids.iter().all(|id| *id > 0), "{user}");
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
    assert!(last("ENV").contains(&format!(":{}", last("EXPOSE"))));
}
