//! Fly.io and Cloud Run: ports, probes and files agree with each other.

use serde_json::Value;

use super::files::{Wait, check, data, exists, list, pairs, read, seconds, text, texts};

const LISTEN: &str = "POINTSMAN__SERVER__LISTEN";

pub fn fly() -> Value {
    data("deploy/fly/fly.toml")
}

pub fn cloud_run() -> Value {
    data("deploy/cloud-run/service.yaml")
}

pub fn container(service: &Value) -> &Value {
    &service["spec"]["template"]["spec"]["containers"][0]
}

pub fn probed() -> Vec<String> {
    let service = cloud_run();
    let container = container(&service);
    let mut paths: Vec<String> = list(&fly(), "/http_service/checks")
        .iter()
        .map(|check| text(check, "/path").to_owned())
        .collect();
    for probe in ["startupProbe", "livenessProbe"] {
        paths.push(text(container, &format!("/{probe}/httpGet/path")).to_owned());
    }
    paths
}

pub fn commands() -> Vec<Vec<String>> {
    vec![texts(container(&cloud_run()), "/args")]
}

pub fn waits() -> Vec<Wait> {
    vec![
        Wait {
            place: "fly.toml kill_timeout".into(),
            grace: seconds(text(&fly(), "/kill_timeout")),
            before: seconds("0"),
            config: "deploy/fly/pointsman.yaml".into(),
            env: pairs(fly().get("env")),
        },
        Wait {
            place: "Cloud Run, always".into(),
            grace: seconds("10"),
            before: seconds("0"),
            config: "deploy/cloud-run/pointsman.yaml".into(),
            env: [(
                LISTEN.to_owned(),
                text(container(&cloud_run()), "/env/0/value").to_owned(),
            )]
            .into(),
        },
    ]
}

#[tokio::test]
async fn fly_agrees_with_itself() {
    let fly = fly();
    let env = pairs(fly.get("env"));
    let port = format!(":{}", fly["http_service"]["internal_port"]);
    assert!(env[LISTEN].ends_with(&port));
    assert_eq!(fly["kill_signal"], "SIGTERM");
    // Fly kills after five minutes at the latest.
    assert!(seconds(text(&fly, "/kill_timeout")) <= seconds("300"));
    let dockerfile = format!("deploy/fly/{}", text(&fly, "/build/dockerfile"));
    assert!(exists(&dockerfile), "{dockerfile}");
    let file = &fly["files"][0];
    assert_eq!(text(file, "/guest_path"), "/etc/pointsman/pointsman.yaml");
    let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    check(text(file, "/local_path"), &env).await.unwrap();
}

#[tokio::test]
async fn cloud_run_agrees_with_itself() {
    let service = cloud_run();
    let container = container(&service);
    let listen = text(container, "/env/0/value");
    assert_eq!(text(container, "/env/0/name"), LISTEN);
    let port = &container["ports"][0]["containerPort"];
    assert!(listen.ends_with(&format!(":{port}")));
    for probe in ["startupProbe", "livenessProbe"] {
        assert_eq!(&container[probe]["httpGet"]["port"], port, "{probe}");
    }
    let image = text(container, "/image");
    assert!(
        image.contains(':') && !image.ends_with(":latest"),
        "{image}"
    );
    let spec = &service["spec"]["template"]["spec"];
    let copied = read("deploy/cloud-run/Dockerfile");
    assert!(copied.contains("COPY pointsman.yaml /etc/pointsman/pointsman.yaml"));
    // The longest request of Cloud Run is longer than the configuration's.
    assert!(spec["timeoutSeconds"].as_u64().unwrap() > 600);
    let config = "deploy/cloud-run/pointsman.yaml";
    check(config, &[(LISTEN, listen)]).await.unwrap();
}
