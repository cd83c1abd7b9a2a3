//! Packages: what `Cargo.toml` says, none of their files says again.

use super::files::{data, exists, read, text, walk};

#[test]
fn the_version_is_in_one_place() {
    let manifest = data("Cargo.toml");
    let version = text(&manifest, "/package/version");
    let description = text(&manifest, "/package/description");
    for path in walk("deploy/packages") {
        if path.ends_with("README.md") {
            continue;
        }
        let said = read(&path);
        assert!(!said.contains(version), "{path} names the version");
        assert!(!said.contains(description), "{path} describes the program");
    }
}

#[test]
fn the_wheel_is_built_as_the_image_is() {
    let project = data("deploy/packages/wheel/pyproject.toml");
    let mut own: Vec<&String> = project["project"].as_object().unwrap().keys().collect();
    own.sort();
    // What those are that are `dynamic`, Cargo.toml says.
    assert_eq!(own, ["dynamic", "license-files", "name"]);
    let maturin = &project["tool"]["maturin"];
    assert_eq!(maturin["bindings"], "bin");
    let place = text(maturin, "/manifest-path");
    assert!(exists(&format!("deploy/packages/wheel/{place}")), "{place}");
    let profile = text(maturin, "/profile");
    assert!(data("Cargo.toml")["profile"].get(profile).is_some());
    assert!(read("deploy/docker/Dockerfile").contains(&format!("--profile {profile} ")));
    let built = format!(r#""--profile", default="{profile}""#);
    assert!(read("deploy/packages/build.py").contains(&built));
}
