//! The Compose project: services refer to what there is, and have no rights.

use serde_json::Value;

use super::files::{Wait, data, exists, list, none, pairs, seconds, text, texts};
use super::{BINARY, docker};

const FOLDER: &str = "deploy/compose";
pub const CONFIG: &str = "deploy/compose/config/pointsman.yaml";

pub fn project() -> Value {
    data(&format!("{FOLDER}/compose.yaml"))
}

fn services(project: &Value) -> Vec<(&String, &Value)> {
    project["services"].as_object().unwrap().iter().collect()
}

pub fn commands() -> Vec<Vec<String>> {
    let test = texts(&project(), "/services/pointsman/healthcheck/test");
    assert_eq!(test[..2], ["CMD", BINARY]);
    vec![test[2..].to_vec()]
}

pub fn waits() -> Vec<Wait> {
    let project = project();
    vec![Wait {
        place: "compose.yaml stop_grace_period".into(),
        grace: seconds(text(&project, "/services/pointsman/stop_grace_period")),
        before: seconds("0"),
        config: CONFIG.into(),
        env: docker::env()
            .into_iter()
            .chain(pairs(project.pointer("/services/pointsman/environment")))
            .collect(),
    }]
}

#[test]
fn services_refer_to_what_there_is() {
    let project = project();
    let mut problems = Vec::new();
    let ignored = super::files::read(".gitignore");
    for (name, service) in services(&project) {
        for secret in texts(service, "/secrets") {
            let file = text(&project, &format!("/secrets/{secret}/file"));
            let Some(path) = file.strip_prefix("./") else {
                problems.push(format!("{name}: secret {secret} has no file"));
                continue;
            };
            let folder = path.split('/').next().unwrap_or_default();
            if !ignored.contains(&format!("/{FOLDER}/{folder}/")) {
                problems.push(format!("{name}: git does not ignore {file}"));
            }
        }
        for volume in texts(service, "/volumes") {
            let source = volume.split(':').next().unwrap_or_default();
            let known = match source.strip_prefix("./") {
                Some(path) => exists(&format!("{FOLDER}/{path}")),
                None => project["volumes"].get(source).is_some(),
            };
            if !known {
                problems.push(format!("{name}: there is no {source}"));
            }
        }
        let waits_for = service["depends_on"].as_object().into_iter().flatten();
        for (other, _) in waits_for {
            let checked = project["services"][other].get("healthcheck").is_some();
            if !checked {
                problems.push(format!(
                    "{name} waits for {other}, which has no healthcheck"
                ));
            }
        }
        let image = text(service, "/image");
        if image.split_once(':').is_none_or(|(_, tag)| tag == "latest") {
            problems.push(format!("{name}: {image} is not pinned"));
        }
        let confined = service["read_only"] == true
            && texts(service, "/cap_drop") == ["ALL"]
            && texts(service, "/security_opt") == ["no-new-privileges:true"];
        if !confined {
            problems.push(format!("{name} is not confined"));
        }
        for port in texts(service, "/ports") {
            if !port.starts_with("127.0.0.1:") {
                problems.push(format!("{name} publishes {port} to everybody"));
            }
        }
    }
    let build = text(&project, "/services/pointsman/build/dockerfile");
    if !exists(build) {
        problems.push(format!("there is no {build}"));
    }
    none("compose.yaml", &problems);
}

#[test]
fn telemetry_flows_between_services_that_exist() {
    let project = project();
    let known = |address: &str| {
        let host = address.trim_start_matches("http://").split(':').next();
        host.is_some_and(|host| project["services"].get(host).is_some())
    };
    let prometheus = data(&format!("{FOLDER}/prometheus.yaml"));
    let mut addresses = Vec::new();
    for job in list(&prometheus, "/scrape_configs") {
        for group in list(job, "/static_configs") {
            addresses.extend(texts(group, "/targets"));
        }
    }
    let sources = data(&format!(
        "{FOLDER}/provisioning/datasources/prometheus.yaml"
    ));
    addresses.push(text(&sources, "/datasources/0/url").to_owned());
    let otlp = "/services/pointsman/environment/OTEL_EXPORTER_OTLP_ENDPOINT";
    addresses.push(text(&project, otlp).to_owned());
    assert_eq!(addresses.len(), 4);
    let unknown = addresses.into_iter().filter(|address| !known(address));
    none("addresses of no service", &unknown.collect::<Vec<_>>());

    let collector = data(&format!("{FOLDER}/collector.yaml"));
    let pipelines = collector["service"]["pipelines"].as_object().unwrap();
    for (name, pipeline) in pipelines {
        for kind in ["receivers", "processors", "exporters"] {
            for part in texts(pipeline, &format!("/{kind}")) {
                assert!(
                    collector[kind].get(&part).is_some(),
                    "{name}: {kind} {part}"
                );
            }
        }
    }
    // The rules that Prometheus judges, and the token that it sends, are mounted.
    let mounts = texts(&project, "/services/prometheus/volumes");
    for file in texts(&prometheus, "/rule_files") {
        let mounted = mounts.iter().any(|mount| {
            let mut parts = mount.split(':');
            let (from, to) = (parts.next().unwrap(), parts.next().unwrap());
            let inside = file.strip_prefix(to);
            inside.is_some_and(|inside| exists(&format!("{FOLDER}/{from}{inside}")))
        });
        assert!(mounted, "{file}");
    }
    let token = text(
        &prometheus,
        "/scrape_configs/0/authorization/credentials_file",
    );
    let secrets = texts(&project, "/services/prometheus/secrets");
    assert!(
        secrets
            .iter()
            .any(|name| token == format!("/run/secrets/{name}"))
    );

    // Where Grafana looks for dashboards is where the folder is mounted.
    let folder = data(&format!("{FOLDER}/provisioning/dashboards/folder.yaml"));
    let place = text(&folder, "/providers/0/options/path");
    let mounts = texts(&project, "/services/grafana/volumes");
    assert!(
        mounts
            .iter()
            .any(|mount| mount.starts_with("./dashboards:") && mount.contains(place))
    );
}
