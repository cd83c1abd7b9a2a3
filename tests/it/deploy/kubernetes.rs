//! The Kubernetes objects: what those of each overlay say of each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::BINARY;
use super::files::{Wait, exists, list, none, pairs, seconds, text, texts, walk};
use super::kustomize::{FOLDER, Overlay, containers, overlays, pod};

/// How long a worker may take to stop before its sidecar is told to, in seconds: what comments and README.md say.
const WORKER: &str = "30";

fn probes(container: &Value) -> Vec<&Value> {
    let kinds = ["startupProbe", "livenessProbe", "readinessProbe"];
    kinds
        .iter()
        .filter_map(|kind| container.get(kind))
        .collect()
}

/// A container's variables.
pub fn env(container: &Value) -> BTreeMap<String, String> {
    let all = list(container, "/env").iter();
    all.map(|it| (text(it, "/name").to_owned(), text(it, "/value").to_owned()))
        .collect()
}

/// Calls back with each overlay, its deployments' pods, and Pointsman's container in them.
pub fn each_pointsman(mut seen: impl FnMut(&Overlay, &Value, &Value)) {
    let mut count = 0;
    for overlay in overlays() {
        for deployment in overlay.of_kind("Deployment") {
            let pod = pod(deployment);
            for container in containers(pod).filter(|it| text(it, "/name") == "pointsman") {
                seen(&overlay, pod, container);
                count += 1;
            }
        }
    }
    assert_eq!(count, 4, "Pointsman runs once in each overlay");
}

pub fn probed() -> Vec<String> {
    let mut paths = Vec::new();
    each_pointsman(|_, _, container| {
        let all = probes(container).into_iter();
        let found = all.filter_map(|probe| probe.pointer("/httpGet/path")?.as_str());
        paths.extend(found.map(str::to_owned));
    });
    paths
}

pub fn commands() -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    each_pointsman(|_, _, container| {
        commands.push(texts(container, "/args"));
        for probe in probes(container) {
            let command = texts(probe, "/exec/command");
            if let Some((program, arguments)) = command.split_first() {
                assert_eq!(program, BINARY);
                commands.push(arguments.to_vec());
            }
        }
    });
    commands
}

pub fn waits() -> Vec<Wait> {
    let mut waits = Vec::new();
    each_pointsman(|overlay, pod, container| {
        let sidecar = list(pod, "/initContainers").contains(container);
        waits.push(Wait {
            place: format!("{} terminationGracePeriodSeconds", overlay.name),
            grace: seconds(&pod["terminationGracePeriodSeconds"].to_string()),
            before: seconds(if sidecar { WORKER } else { "0" }),
            config: overlay.config().into(),
            env: env(container),
        });
    });
    waits
}

#[test]
fn every_file_is_part_of_an_overlay() {
    let used: BTreeSet<String> = overlays().into_iter().flat_map(|it| it.files).collect();
    let mut problems = Vec::new();
    for path in walk(FOLDER).iter().filter(|path| path.ends_with(".yaml")) {
        if !used.contains(path) {
            problems.push(format!("no kustomization names {path}"));
        }
    }
    for path in used.iter().filter(|path| !exists(path)) {
        problems.push(format!("{path} does not exist"));
    }
    none("files of kustomize", &problems);
}

#[test]
fn pods_have_no_rights_and_name_what_there_is() {
    let mut problems = Vec::new();
    for overlay in overlays() {
        for deployment in overlay.of_kind("Deployment") {
            let pod = pod(deployment);
            let mut fail = |what: String| problems.push(format!("{}: {what}", overlay.name));
            let account = text(pod, "/serviceAccountName");
            if !overlay.has("ServiceAccount", account) {
                fail(format!("no service account {account}"));
            }
            let context = &pod["securityContext"];
            if pod["automountServiceAccountToken"] != false
                || context["runAsNonRoot"] != true
                || context["runAsUser"].as_u64().is_none_or(|id| id == 0)
                || text(context, "/seccompProfile/type") != "RuntimeDefault"
            {
                fail("the pod's security context".into());
            }
            let mut volumes = BTreeSet::new();
            for volume in list(pod, "/volumes") {
                volumes.insert(text(volume, "/name"));
                let map = text(volume, "/configMap/name");
                if !map.is_empty() && !overlay.config_maps.contains_key(map) {
                    fail(format!("nothing makes the config map {map}"));
                }
            }
            for container in containers(pod) {
                let name = text(container, "/name");
                let context = &container["securityContext"];
                if context["allowPrivilegeEscalation"] != false
                    || context["readOnlyRootFilesystem"] != true
                    || texts(context, "/capabilities/drop") != ["ALL"]
                {
                    fail(format!("{name}: the container's security context"));
                }
                if container.pointer("/resources/requests/cpu").is_none()
                    || container.pointer("/resources/limits/memory").is_none()
                {
                    fail(format!("{name}: resources"));
                }
                let image = text(container, "/image");
                let tag = image.split_once(':').map(|(_, tag)| tag);
                let tag = tag.or(overlay.images.get(image).map(String::as_str));
                if tag.is_none_or(|tag| tag.is_empty() || tag == "latest") {
                    fail(format!("{name}: {image} is not pinned"));
                }
                for mount in list(container, "/volumeMounts") {
                    let volume = text(mount, "/name");
                    if !volumes.contains(volume) {
                        fail(format!("{name}: no volume {volume}"));
                    }
                }
                let ports = ports(container);
                for probe in probes(container) {
                    let port = text(probe, "/httpGet/port");
                    if probe.get("httpGet").is_some() && !ports.contains(port) {
                        fail(format!("{name}: no port {port} to probe"));
                    }
                }
            }
        }
    }
    none("pods", &problems);
}

fn ports(container: &Value) -> BTreeSet<&str> {
    let ports = list(container, "/ports").iter();
    ports.map(|port| text(port, "/name")).collect()
}

#[test]
fn pointsman_is_probed_and_listens_where_it_is_asked() {
    each_pointsman(|overlay, pod, container| {
        let name = &overlay.name;
        assert_eq!(probes(container).len(), 3, "{name}");
        let env = env(container);
        let listen = env["POINTSMAN__SERVER__LISTEN"].as_str();
        for port in list(container, "/ports") {
            let number = format!(":{}", port["containerPort"]);
            assert!(listen.ends_with(&number), "{name}: {listen}");
        }
        if let Some(socket) = listen.strip_prefix("unix:") {
            let folder = socket.rsplit_once('/').unwrap().0;
            for one in containers(pod) {
                let mounts = list(one, "/volumeMounts");
                let mounted = mounts.iter().any(|it| text(it, "/mountPath") == folder);
                assert!(mounted, "{name}: {} has no {folder}", text(one, "/name"));
            }
        }
        if list(pod, "/initContainers").contains(container) {
            assert_eq!(text(container, "/restartPolicy"), "Always", "{name}");
            assert!(!listen.starts_with("0.0.0.0"), "{name}: for its pod alone");
        }
    });
}

#[test]
fn selectors_find_the_pods() {
    let mut problems = Vec::new();
    let mut checked = 0;
    for overlay in overlays() {
        for object in &overlay.objects {
            let kind = text(object, "/kind");
            let name = text(object, "/metadata/name");
            if name.is_empty() || text(object, "/apiVersion").is_empty() || kind.is_empty() {
                problems.push(format!(
                    "{}: an object without name, kind or version",
                    overlay.name
                ));
            }
            let mut fail =
                |what: String| problems.push(format!("{}: {kind}: {what}", overlay.name));
            let selector = match kind {
                "Deployment" | "PodDisruptionBudget" => "/spec/selector/matchLabels",
                "NetworkPolicy" => "/spec/podSelector/matchLabels",
                "Service" => "/spec/selector",
                "HorizontalPodAutoscaler" => {
                    let target = &object["spec"]["scaleTargetRef"];
                    if !overlay.has(text(target, "/kind"), text(target, "/name")) {
                        fail(format!("nothing to scale: {target}"));
                    }
                    continue;
                }
                _ => continue,
            };
            checked += 1;
            let wanted = pairs(object.pointer(selector));
            let chosen = |deployment: &&Value| {
                let labels = pairs(deployment.pointer("/spec/template/metadata/labels"));
                let all = wanted.iter();
                !wanted.is_empty()
                    && all
                        .into_iter()
                        .all(|(key, value)| labels.get(key) == Some(value))
            };
            let Some(deployment) = overlay.of_kind("Deployment").find(chosen) else {
                fail(format!("{wanted:?} selects no pod"));
                continue;
            };
            let known: BTreeSet<&str> = containers(pod(deployment)).flat_map(ports).collect();
            let named = match kind {
                "Service" => list(object, "/spec/ports")
                    .iter()
                    .map(|it| text(it, "/targetPort"))
                    .collect(),
                "NetworkPolicy" => list(object, "/spec/ingress")
                    .iter()
                    .flat_map(|rule| list(rule, "/ports"))
                    .map(|it| text(it, "/port"))
                    .collect(),
                _ => Vec::new(),
            };
            for port in named.into_iter().filter(|port| !known.contains(port)) {
                fail(format!("no port {port}"));
            }
        }
    }
    assert!(checked >= 6, "{checked}");
    none("selectors", &problems);
}

#[test]
fn tls_is_spoken_by_all_or_by_nobody() {
    let mut with_tls = 0;
    each_pointsman(|overlay, _, container| {
        let name = &overlay.name;
        let tls = env(container).contains_key("POINTSMAN__SERVER__TLS__CERT");
        let (scheme, protocol) = match tls {
            true => ("HTTPS", "https"),
            false => ("", "http"),
        };
        for probe in probes(container) {
            assert_eq!(text(probe, "/httpGet/scheme"), scheme, "{name}");
        }
        for service in overlay.of_kind("Service") {
            for port in list(service, "/spec/ports") {
                assert_eq!(text(port, "/appProtocol"), protocol, "{name}");
            }
            for certificate in overlay.of_kind("Certificate") {
                let names = texts(certificate, "/spec/dnsNames");
                let service = text(service, "/metadata/name");
                assert!(names.iter().any(|it| it == service), "{name}: {names:?}");
            }
        }
        with_tls += usize::from(tls);
    });
    assert_eq!(with_tls, 1);
}
