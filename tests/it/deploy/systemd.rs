//! The units: only keys that systemd knows, and what they name.

use std::collections::BTreeMap;

use super::BINARY;
use super::files::{Wait, data, exists, none, read, seconds, texts};

const SERVICE: &str = "deploy/systemd/pointsman.service";
const SOCKET: &str = "deploy/systemd/pointsman.socket";
const CONFIG: &str = "deploy/systemd/pointsman.yaml";

/// What is used of systemd.unit(5), systemd.service(5), systemd.socket(5), systemd.exec(5), systemd.kill(5) and
/// systemd.resource-control(5). A mistyped key is ignored by systemd with a warning in the journal.
const KNOWN: [(&str, &[&str]); 4] = [
    (
        "Unit",
        &[
            "Description",
            "Wants",
            "After",
            "StartLimitIntervalSec",
            "StartLimitBurst",
        ],
    ),
    (
        "Service",
        &[
            "Type",
            "NotifyAccess",
            "ExecStart",
            "ExecReload",
            "Restart",
            "RestartSec",
            "RestartPreventExitStatus",
            "TimeoutStopSec",
            "LoadCredential",
            "DynamicUser",
            "RuntimeDirectory",
            "UMask",
            "LimitNOFILE",
            "LimitCORE",
            "TasksMax",
            "MemoryMax",
            "ProtectSystem",
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "DevicePolicy",
            "PrivateMounts",
            "PrivateIPC",
            "PrivateUsers",
            "ProtectProc",
            "ProcSubset",
            "RemoveIPC",
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectClock",
            "ProtectHostname",
            "NoNewPrivileges",
            "CapabilityBoundingSet",
            "AmbientCapabilities",
            "RestrictSUIDSGID",
            "RestrictNamespaces",
            "RestrictRealtime",
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "RestrictAddressFamilies",
            "IPAddressDeny",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "SystemCallErrorNumber",
        ],
    ),
    (
        "Socket",
        &["ListenStream", "SocketMode", "Backlog", "NoDelay"],
    ),
    ("Install", &["WantedBy"]),
];

/// Section, key, value.
fn lines(path: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in read(path).lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .unwrap_or_else(|| panic!("{path}: {line}"));
        found.push((section.clone(), key.to_owned(), value.to_owned()));
    }
    found
}

fn values(path: &str, key: &str) -> Vec<String> {
    let lines = lines(path).into_iter();
    lines
        .filter(|(_, it, _)| it == key)
        .map(|(.., value)| value)
        .collect()
}

fn value(path: &str, key: &str) -> String {
    let found = values(path, key);
    assert_eq!(found.len(), 1, "{path}: {key}");
    found.into_iter().collect()
}

pub fn commands() -> Vec<Vec<String>> {
    let start = value(SERVICE, "ExecStart");
    let mut words = start.split_whitespace().map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some(BINARY));
    vec![words.collect()]
}

pub fn waits() -> Vec<Wait> {
    vec![Wait {
        place: "pointsman.service TimeoutStopSec".into(),
        grace: seconds(&value(SERVICE, "TimeoutStopSec")),
        before: seconds("0"),
        config: CONFIG.into(),
        env: BTreeMap::new(),
    }]
}

#[test]
fn units_say_only_what_systemd_knows() {
    let mut problems = Vec::new();
    for path in [SERVICE, SOCKET] {
        for (section, key, _) in lines(path) {
            let keys = KNOWN.iter().find(|(name, _)| *name == section);
            if !keys.is_some_and(|(_, keys)| keys.contains(&key.as_str())) {
                problems.push(format!("{path}: {key}= in [{section}]"));
            }
        }
    }
    none("unknown keys", &problems);
}

#[test]
fn the_service_has_no_rights_and_does_not_retry_mistakes() {
    for (key, expected) in [
        // It says itself when it listens.
        ("Type", "notify"),
        ("LimitCORE", "0"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("CapabilityBoundingSet", ""),
        ("DynamicUser", "yes"),
        ("Restart", "on-failure"),
        // The exit code for a configuration with mistakes.
        ("RestartPreventExitStatus", "78"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
    ] {
        assert_eq!(value(SERVICE, key), expected, "{key}");
    }
    // NOTIFY_SOCKET is a Unix socket.
    let families = value(SERVICE, "RestrictAddressFamilies");
    for family in ["AF_UNIX", "AF_INET", "AF_INET6"] {
        assert!(families.split(' ').any(|it| it == family), "{family}");
    }
    assert_eq!(values(SERVICE, "NotifyAccess"), Vec::<String>::new());
}

#[test]
fn credentials_and_addresses_are_those_of_the_configuration() {
    let config = read(CONFIG);
    let loaded = values(SERVICE, "LoadCredential");
    let named = config.split("${CREDENTIALS_DIRECTORY}/").skip(1);
    let named: Vec<&str> = named
        .filter_map(|after| after.split_whitespace().next())
        .collect();
    let names: Vec<&str> = loaded
        .iter()
        .filter_map(|it| it.split(':').next())
        .collect();
    assert_eq!(named, names);
    assert_eq!(
        vec![value(SOCKET, "ListenStream")],
        texts(&data(CONFIG), "/server/listen")
    );
    // What the units name is installed by the README.
    let readme = read("deploy/systemd/README.md");
    for place in [
        "/usr/local/bin/pointsman",
        "/etc/pointsman/pointsman.yaml",
        "/etc/pointsman/keys/groq_api_keys",
    ] {
        assert!(readme.contains(place), "{place}");
    }
    assert!(exists(CONFIG));
}
