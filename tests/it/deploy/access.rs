//! Who may call, and the secrets for that: no network is open without a lock, every secret that is named is mounted,
//! and a README says how to make it.

use std::collections::BTreeSet;

use super::files::{MOUNTS, data, list, none, read, text, texts, walk};
use super::kubernetes::{each_pointsman, env};
use super::{compose, platforms};

/// The only place where nobody has to identify although a network is reachable, because others ask before.
const GUARDED: &str = "deploy/cloud-run/pointsman.yaml";

/// What stands between fences in a text for people; continued lines are one.
fn commands(path: &str) -> Vec<String> {
    let text = read(path).replace("\\\n", " ");
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            found.push(line.trim().to_owned());
        }
    }
    found
}

fn opens(line: &str) -> bool {
    let line = line.to_lowercase();
    let after = line.split_once("insecure_open").map(|(_, after)| after);
    after.is_some_and(|after| after.contains("true"))
}

/// Files under the folder of mounted secrets that a configuration names.
fn mounted(config: &str) -> BTreeSet<String> {
    let text = read(config);
    let named = text.split("${KEYS_DIR:-").skip(1);
    named
        .map(|after| {
            let word = after.split_whitespace().next().unwrap_or_default();
            word.replace('}', "")
        })
        .collect()
}

/// Variables without a default that a configuration names.
fn variables(config: &str) -> BTreeSet<String> {
    let text = read(config);
    let named = text.split("${").skip(1);
    named
        .filter_map(|after| after.split('}').next())
        .filter(|name| !name.contains(":-"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_network_is_open_without_a_lock() {
    let mut problems = Vec::new();
    let mut guarded = 0;
    for path in walk("deploy") {
        let lines: Vec<String> = match path.ends_with(".md") {
            true => commands(&path),
            false => read(&path).lines().map(str::to_owned).collect(),
        };
        for line in lines.iter().filter(|line| opens(line)) {
            let near = line.contains("-p 127.0.0.1:") && line.contains("--demo");
            if path == GUARDED || near {
                guarded += 1;
            } else {
                problems.push(format!("{path}: {line}"));
            }
        }
    }
    none("no token is needed", &problems);
    assert_eq!(guarded, 2);
    // What guards Cloud Run: its own networks, and an identity token unless everybody is let in.
    let service = platforms::cloud_run();
    let annotations = &service["metadata"]["annotations"];
    assert_eq!(annotations["run.googleapis.com/ingress"], "internal");
    let invoker = annotations.get("run.googleapis.com/invoker-iam-disabled");
    assert_eq!(invoker, None);
    for command in commands("deploy/cloud-run/README.md") {
        assert!(!command.contains("allUsers"), "{command}");
        assert!(!command.contains("--allow-unauthenticated"), "{command}");
    }
}

#[test]
fn a_health_check_finds_an_address_without_tls() {
    let mut seen = 0;
    for path in walk("deploy").iter().filter(|path| path.ends_with(".md")) {
        for line in commands(path) {
            let Some((_, listen)) = line.split_once("POINTSMAN__SERVER__LISTEN") else {
                continue;
            };
            if listen.contains(":8443") {
                let value = listen.trim_start_matches(['=', ':', ' ', '"']);
                assert!(value.starts_with("127.0.0.1:8080,"), "{path}: {line}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn secrets_of_compose_are_mounted_and_made() {
    let project = compose::project();
    let commands = commands("deploy/compose/README.md");
    let mut problems = Vec::new();
    let given = texts(&project, "/services/pointsman/secrets");
    let named = mounted(compose::CONFIG);
    assert_eq!(named.len(), 3, "{named:?}");
    for path in &named {
        let name = path.strip_prefix(&format!("{MOUNTS}/")).unwrap();
        if !given.iter().any(|it| it == name) {
            problems.push(format!("{path} is not given to the service"));
        }
    }
    for secret in project["secrets"].as_object().unwrap().values() {
        let file = text(secret, "/file").trim_start_matches("./");
        let made = format!("> {file}");
        if !commands.iter().any(|line| line.contains(&made)) {
            problems.push(format!("no command makes {file}"));
        }
    }
    for secret in given {
        if !named.contains(&format!("{MOUNTS}/{secret}")) {
            problems.push(format!("the configuration does not name {secret}"));
        }
    }
    none("secrets of Compose", &problems);
}

#[test]
fn secrets_of_kubernetes_are_mounted_and_made() {
    let commands = commands("deploy/kubernetes/README.md");
    let mut problems = Vec::new();
    each_pointsman(|overlay, pod, container| {
        let mut fail = |what: String| problems.push(format!("{}: {what}", overlay.name));
        let mut named = mounted(overlay.config());
        let values = env(container).into_values();
        named.extend(values.filter(|value| value.starts_with(MOUNTS)));
        for mount in list(container, "/volumeMounts") {
            let place = text(mount, "/mountPath");
            let volume = list(pod, "/volumes")
                .iter()
                .find(|it| it["name"] == mount["name"]);
            let secret = text(volume.unwrap(), "/secret/secretName");
            if secret.is_empty() {
                continue;
            }
            let certified = overlay
                .of_kind("Certificate")
                .any(|it| text(it, "/spec/secretName") == secret);
            let create = format!("kubectl create secret generic {secret} ");
            let made: Vec<&String> = commands
                .iter()
                .filter(|line| line.starts_with(&create))
                .collect();
            if made.is_empty() && !certified {
                fail(format!("nothing makes the secret {secret}"));
            }
            let inside = |path: &String| {
                path.strip_prefix(place)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let (used, rest): (Vec<_>, Vec<_>) = named.into_iter().partition(inside);
            named = rest.into_iter().collect();
            if used.is_empty() {
                fail(format!("nobody names a file of {place}"));
            }
            for path in used {
                let file = path[place.len()..].trim_start_matches('/');
                let entry = format!("--from-literal={file}=");
                let there = match certified {
                    true => ["tls.crt", "tls.key"].contains(&file),
                    false => file.is_empty() || made.iter().any(|line| line.contains(&entry)),
                };
                if !there {
                    fail(format!("the secret {secret} has no {file}"));
                }
            }
        }
        for path in named {
            fail(format!("{path} is not mounted"));
        }
        // A pod's own address is a lock; who calls over the network shows a token.
        let far = env(container)["POINTSMAN__SERVER__LISTEN"].starts_with("0.0.0.0");
        let asks = data(overlay.config()).get("clients").is_some();
        if far != asks {
            fail(format!(
                "far callers: {far}, tokens for all callers: {asks}"
            ));
        }
    });
    none("secrets of Kubernetes", &problems);
}

#[test]
fn secrets_of_platforms_are_variables_that_are_set() {
    let mut problems = Vec::new();
    let fly = commands("deploy/fly/README.md");
    let set: Vec<&String> = fly
        .iter()
        .filter(|line| line.starts_with("fly secrets set "))
        .collect();
    let named = variables("deploy/fly/pointsman.yaml");
    assert_eq!(named.len(), 1, "{named:?}");
    for name in named.iter().map(String::as_str).chain(["GROQ_API_KEYS"]) {
        let there = set.iter().any(|line| line.contains(&format!(" {name}=")));
        if !there {
            problems.push(format!("Fly.io: nothing sets {name}"));
        }
    }
    let service = platforms::cloud_run();
    let container = platforms::container(&service);
    let commands = commands("deploy/cloud-run/README.md");
    let given = env(container);
    for name in variables(GUARDED) {
        if !given.contains_key(&name) {
            problems.push(format!("Cloud Run: nothing sets {name}"));
        }
    }
    let mut secrets = 0;
    for one in list(container, "/env") {
        let secret = text(one, "/valueFrom/secretKeyRef/name");
        if secret.is_empty() {
            continue;
        }
        secrets += 1;
        for command in ["create", "add-iam-policy-binding"] {
            let wanted = format!("gcloud secrets {command} {secret} ");
            if !commands.iter().any(|line| line.starts_with(&wanted)) {
                problems.push(format!("Cloud Run: no {wanted}"));
            }
        }
    }
    assert!(secrets > 0);
    none("secrets of platforms", &problems);
}
