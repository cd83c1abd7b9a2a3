//! Overlays as kustomize would put them together, as far as its features are used here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files::{data, list, text, texts, walk};

pub const FOLDER: &str = "deploy/kubernetes";

/// One overlay with everything below it.
#[derive(Default)]
pub struct Overlay {
    pub name: String,
    pub objects: Vec<Value>,
    /// Their file by name.
    pub config_maps: BTreeMap<String, String>,
    /// Tags by image.
    pub images: BTreeMap<String, String>,
    pub files: BTreeSet<String>,
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
            let name = text(generator, "/name").to_owned();
            let known = self.config_maps.contains_key(&name);
            assert_eq!(known, text(generator, "/behavior") == "replace", "{name}");
            for file in texts(generator, "/files") {
                let path = joined(folder, &file);
                self.files.insert(path.clone());
                self.config_maps.insert(name.clone(), path);
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

    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let mine = self.objects.iter();
        mine.filter(move |object| text(object, "/kind") == kind)
    }

    /// The file that becomes `pointsman.yaml`.
    pub fn config(&self) -> &str {
        &self.config_maps["pointsman-config"]
    }

    pub fn has(&self, kind: &str, name: &str) -> bool {
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
        (Value::Array(target), Value::Array(patch))
            if patch.iter().any(|it| it["$patch"] == "replace") =>
        {
            let members = patch.iter().filter(|it| it.get("$patch").is_none());
            *target = members.cloned().collect();
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

pub fn overlays() -> Vec<Overlay> {
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

pub fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

pub fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let first = list(pod, "/initContainers").iter();
    first.chain(list(pod, "/containers"))
}
