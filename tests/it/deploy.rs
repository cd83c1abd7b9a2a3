//! What is under `deploy/`: files parse, configurations load, names lead somewhere, and everybody waits for a drain
//! to end. Tools that know more, such as schema validators, are not needed here.

mod access;
mod compose;
mod docker;
pub mod files;
mod kubernetes;
mod kustomize;
mod packages;
mod platforms;
mod systemd;

use std::time::Duration;

use files::{check, env, none, parsed, root, walk};

use crate::support::Gateway;
use crate::support::gateway::run;
use crate::support::temp::TempDir;

/// What a stream that is cut off has to hear of it: docs/listeners.md.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where the image has the program.
const BINARY: &str = "/usr/local/bin/pointsman";

#[test]
fn every_file_parses_and_every_folder_is_explained() {
    let mut problems = Vec::new();
    for path in walk("deploy") {
        if let Some(Err(error)) = parsed(&path) {
            problems.push(format!("{path}: {error}"));
        }
    }
    let folders = std::fs::read_dir(root().join("deploy")).unwrap();
    for folder in folders.map(|entry| entry.unwrap().path()) {
        if folder.is_dir() && !folder.join("README.md").is_file() {
            problems.push(format!("{} has no README.md", folder.display()));
        }
    }
    none("files under deploy", &problems);
}

#[tokio::test]
async fn every_configuration_is_valid() {
    let mut problems = Vec::new();
    let mut files = walk("config/examples");
    files.extend(walk("deploy").into_iter().filter(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name == "pointsman.yaml" || name == "pointsman.toml"
    }));
    assert!(files.len() > 8, "{files:?}");
    if !cfg!(feature = "cel") {
        files.retain(|path| !path.ends_with("expressions.yaml"));
    }
    for path in files {
        problems.extend(check(&path, &[]).await.err());
    }
    none("configurations that `pointsman check` refuses", &problems);
}

#[tokio::test]
async fn every_path_that_is_probed_answers() {
    let mut paths = kubernetes::probed();
    paths.extend(platforms::probed());
    assert!(paths.len() >= 5, "{paths:?}");
    let gateway = Gateway::start_in(TempDir::new(), &["--demo"], &[]).await;
    for path in paths {
        assert_eq!(gateway.get(&path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_command_line_is_understood() {
    let mut commands = kubernetes::commands();
    commands.extend(compose::commands());
    commands.extend(docker::commands());
    commands.extend(systemd::commands());
    commands.extend(platforms::commands());
    assert!(commands.len() >= 8, "{commands:?}");
    let dir = TempDir::new();
    for command in commands {
        // Options before `--help` are read before it is obeyed: an unknown one is an error.
        let words = command.iter().map(String::as_str);
        let arguments: Vec<&str> = words.chain(["--help"]).collect();
        let output = run(dir.path(), &arguments, &[]).await;
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}");
    }
}

#[test]
fn everybody_waits_longer_than_a_drain_takes() {
    let mut waits = kubernetes::waits();
    waits.extend(compose::waits());
    waits.extend(systemd::waits());
    waits.extend(platforms::waits());
    assert!(waits.len() >= 6, "{}", waits.len());
    let mut problems = Vec::new();
    for wait in waits {
        let (_keys, env) = env(&wait.env);
        let request = pointsman::config::LoadRequest {
            config_path: Some(root().join(&wait.config)),
            env: env.into(),
            ..Default::default()
        };
        let server = pointsman::config::load(&request).unwrap().server;
        let takes = server.drain_delay + server.drain_timeout + LAST_WORDS;
        if wait.grace <= takes + wait.before {
            problems.push(format!(
                "{}: {:?} is not longer than {takes:?}, which {} may take{}",
                wait.place,
                wait.grace,
                wait.config,
                match wait.before.is_zero() {
                    true => String::new(),
                    false => format!(", and {:?} before it", wait.before),
                }
            ));
        }
    }
    none("times to stop", &problems);
}
