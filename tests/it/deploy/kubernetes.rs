//! The Kubernetes objects: each overlay as kustomize would put it together, and what its objects say of each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::BINARY;
use super::files::{Wait, data, exists, list, none, pairs, seconds, text, texts, walk};

const FOLDER: &str = "deploy/kubernetes";
const CONFIG: &str = "deploy/kubernetes/base/pointsman.yaml";
/// How long a worker may take to stop before its sidecar is told to, in seconds: what comments and README.md say.
const WORKER: &str = "30";

/// One overlay with everything below it.
#[derive(Default)]
struct Overlay {
    name: String,
    objects: Vec<Value>,
    config_maps: BTreeSet<String>,
    /// Tags by image.
    images: BTreeMap<String, String>,
    files: BTreeSet<String>,
}

impl Overlay {
    fn read(&mut self, folder: &str) {
        let place = format!("{folder}/kustomization.yaml");
        let kustomization = data(&place);
        self.files.insert(place);
        for resource in texts(&kustomization, "/resources") {
            let path = joined(folder, &resource);
            if path.ends_with(".yaml") {
                self.objects.push(data(&path));
                self.files.insert(path);
            } else {
                self.read(&path);
            }
        }
        for generator in list(&kustomization, "/configMapGenerator") {
            self.config_maps.insert(text(generator, "/name").to_owned());
            for file in texts(generator, "/files") {
                self.files.insert(joined(folder, &file));
            }
        }
        for image in list(&kustomization, "/images") {
            let tag = text(image, "/newTag").to_owned();
            self.images.insert(text(image, "/name").to_owned(), tag);
        }
        for patch in list(&kustomization, "/patches") {
            let path = joined(folder, text(patch, "/path"));
            let patch = data(&path);
            self.files.insert(path);
            let same = |object: &&mut Value| {
                object["kind"] == patch["kind"]
                    && object["metadata"]["name"] == patch["metadata"]["name"]
            };
            let target = self.objects.iter_mut().find(same);
            merge(
                target.unwrap_or_else(|| panic!("no object for {patch}")),
                &patch,
            );
        }
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let mine = self.objects.iter();
        mine.filter(move |object| text(object, "/kind") == kind)
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.of_kind(kind)
            .any(|object| text(object, "/metadata/name") == name)
    }
}

/// A strategic merge as far as it is used here: maps by key, lists of named things by name, other lists as a whole.
fn merge(target: &mut Value, patch: &Value) {
    let key = |value: &Value| {
        let found = value.get("mountPath").or_else(|| value.get("name"));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, member) in patch {
                merge(target.entry(name).or_insert(Value::Null), member);
            }
        }
        (Value::Array(target), Value::Array(patch)) if patch.iter().all(|it| key(it).is_some()) => {
            for member in patch {
                match target.iter_mut().find(|it| key(it) == key(member)) {
                    Some(old) => merge(old, member),
                    None => target.push(member.clone()),
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn overlays() -> Vec<Overlay> {
    let kustomizations = walk(&format!("{FOLDER}/overlays"));
    let folders = kustomizations
        .iter()
        .filter_map(|path| path.strip_suffix("/kustomization.yaml"));
    let read = |folder: &str| {
        let mut overlay = Overlay {
            name: folder.to_owned(),
            ..Overlay::default()
        };
        overlay.read(folder);
        overlay
    };
    folders.map(read).collect()
}

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let first = list(pod, "/initContainers").iter();
    first.chain(list(pod, "/containers"))
}

fn probes(container: &Value) -> Vec<&Value> {
    let kinds = ["startupProbe", "livenessProbe", "readinessProbe"];
    kinds
        .iter()
        .filter_map(|kind| container.get(kind))
        .collect()
}

/// Calls back with each overlay, its deployments' pods, and Pointsman's container in them.
fn each_pointsman(mut seen: impl FnMut(&Overlay, &Value, &Value)) {
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
    assert_eq!(count, 3, "Pointsman runs once in each overlay");
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
        let env = list(container, "/env").iter();
        waits.push(Wait {
            place: format!("{} terminationGracePeriodSeconds", overlay.name),
            grace: seconds(&pod["terminationGracePeriodSeconds"].to_string()),
            before: seconds(if sidecar { WORKER } else { "0" }),
            config: CONFIG.into(),
            env: env
                .map(|it| (text(it, "/name").to_owned(), text(it, "/value").to_owned()))
                .collect(),
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
                if !map.is_empty() && !overlay.config_maps.contains(map) {
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
        let env: BTreeMap<&str, &str> = list(container, "/env")
            .iter()
            .map(|it| (text(it, "/name"), text(it, "/value")))
            .collect();
        let listen = env["POINTSMAN__SERVER__LISTEN"];
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
