//! LiteLLM's proxy: `model_list` and the settings around it.

mod cache_fields;
mod deployment;
mod field_readers;
mod fields;
mod general_fields;
mod groups;
mod library_fields;
mod prefixes;
mod router_fields;
mod setting_readers;
mod settings;

use self::deployment::Deployment;
use self::fields::{ENTRY, INFO, OTHER_INFO, OTHER_PARAM, PARAMS};
use self::settings::RouterSettings;
use super::error::ImportError;
use super::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, shown, unsupported,
};
use super::importer::Importer;
use super::source::{self, SourceNode, put};
use super::table::{FieldRow, FieldRule, joined, read_fields};

use FieldRule::{Lacks, Needless, Read};

/// Files that a file may include, and those that these include.
const MOST_INCLUDED: usize = 32;

/// The keys of the file that no section of their own explains.
const ROOT: &[FieldRow<()>] = &[
    (
        &["environment_variables"],
        Read(|(), _, _| {
            approximated(
                ".env",
                "values of variables are not copied: write NAME=value into .env beside the configuration",
            )
        }),
    ),
    (
        &["include"],
        Read(|(), _, _| mapped("what these files say stands here")),
    ),
    (
        &["guardrails", "prompt_injection_params"],
        Lacks("there are no guardrails"),
    ),
    (
        &[
            "mcp_servers",
            "mcp_tools",
            "search_tools",
            "vector_store_registry",
        ],
        Lacks("tools are not called by the dispatcher"),
    ),
    (
        &["files_settings", "finetune_settings", "assistant_settings"],
        Lacks("files and jobs go by passthrough, to a provider that has passthrough: true"),
    ),
    (
        &["default_vertex_config"],
        Lacks("write it as a provider `vertex` with passthrough: true"),
    ),
];

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    let node = included(node, importer)?;
    let known = [
        "model_list",
        "router_settings",
        "litellm_settings",
        "general_settings",
    ];
    if !known.iter().any(|key| node.get(key).is_some()) {
        return Err(ImportError::Foreign("there is no model_list"));
    }
    importer.reserve(&node);
    reserve_usual(&node, importer);
    let mut router = RouterSettings::default();
    let mut deployments = Vec::new();
    for (key, section) in node.entries() {
        match key.as_str() {
            "model_list" => deployments = read_models(section, &node, importer),
            "router_settings" => router.read(router_fields::ROUTER, section, key, importer),
            "litellm_settings" => router.read(library_fields::LITELLM, section, key, importer),
            "general_settings" => router.read(general_fields::GENERAL, section, key, importer),
            "credential_list" => {}
            // Where YAML's anchors are written once for all.
            key if key.starts_with("x-") || key.starts_with("x_") || key.starts_with('.') => {
                let verdict = needless("what refers to it has its values");
                importer.reports.add(key, shown(key, section), verdict);
            }
            _ => {
                let one = SourceNode::Map(vec![(key.clone(), section.clone())]);
                let others = Lacks("there is no such section here");
                read_fields(ROOT, &others, &mut (), &one, "", importer);
            }
        }
    }
    // Last, as it goes by what deployments have read.
    if let Some(section) = node.get("credential_list") {
        credentials(section, importer);
    }
    cache_fields::write(std::mem::take(&mut router.cache), importer);
    for deployment in &mut deployments {
        deployment.timeout = deployment.timeout.or(router.timeout);
    }
    let placed = deployments
        .into_iter()
        .filter_map(|one| one.place(importer));
    groups::build(&router, placed.collect(), importer);
    Ok(())
}

/// Variables that providers without a written key are looked up in belong to nothing else.
fn reserve_usual(node: &SourceNode, importer: &mut Importer<'_>) {
    let models = node
        .get("model_list")
        .map(SourceNode::items)
        .unwrap_or_default();
    let keyless = models
        .iter()
        .filter_map(|entry| entry.get("litellm_params"));
    for params in keyless.filter(|params| params.get("api_key").is_none()) {
        let model = params
            .get("model")
            .and_then(SourceNode::name)
            .unwrap_or_default();
        let prefix = model.split_once('/').map_or("openai", |(prefix, _)| prefix);
        importer.reserve_name(&format!("{}_API_KEY", prefix.to_ascii_uppercase()));
    }
}

/// Reads the entries of `model_list`.
fn read_models(
    list: &SourceNode,
    root: &SourceNode,
    importer: &mut Importer<'_>,
) -> Vec<Deployment> {
    let mut deployments = Vec::new();
    for (at, entry) in list.items().iter().enumerate() {
        let path = format!("model_list[{at}]");
        let group = entry.get("model_name").and_then(SourceNode::name);
        let mut deployment = Deployment::new(&path, group.unwrap_or_default());
        let others = Lacks("there is no such key of an entry");
        read_fields(ENTRY, &others, &mut deployment, entry, &path, importer);
        if let Some(params) = entry.get("litellm_params") {
            let path = format!("{path}.litellm_params");
            if let Some(name) = params
                .get("litellm_credential_name")
                .and_then(SourceNode::name)
            {
                credential(name, root, &path, &mut deployment, importer);
            }
            read_fields(
                PARAMS,
                &OTHER_PARAM,
                &mut deployment,
                params,
                &path,
                importer,
            );
        }
        if let Some(info) = entry.get("model_info") {
            let path = format!("{path}.model_info");
            read_fields(INFO, &OTHER_INFO, &mut deployment, info, &path, importer);
        }
        deployments.push(deployment);
    }
    deployments
}

/// Reads a named credential as if its values stood in the deployment.
fn credential(
    name: &str,
    root: &SourceNode,
    path: &str,
    deployment: &mut Deployment,
    importer: &mut Importer<'_>,
) {
    let list = root
        .get("credential_list")
        .map(SourceNode::items)
        .unwrap_or_default();
    let named =
        |entry: &SourceNode| entry.get("credential_name").and_then(SourceNode::name) == Some(name);
    let verdict = match list.iter().position(named) {
        Some(at) => {
            deployment.credential = format!("credential_list[{at}]");
            let values = list
                .get(at)
                .and_then(|entry| entry.get("credential_values"));
            if let Some(values) = values {
                let path = format!("credential_list[{at}].credential_values");
                read_fields(PARAMS, &OTHER_PARAM, deployment, values, &path, importer);
            }
            mapped_with("llm.providers[]", "with the values of that credential")
        }
        None => {
            unsupported("credential_list has none of that name: it may be in LiteLLM's database")
        }
    };
    let path = format!("{path}.litellm_credential_name");
    importer.reports.add(&path, name.to_owned(), verdict);
}

/// What deployments have not read of the credentials.
fn credentials(list: &SourceNode, importer: &mut Importer<'_>) {
    const CREDENTIAL: &[FieldRow<()>] = &[
        (
            &["credential_name"],
            Needless("deployments name it, and have its values"),
        ),
        (
            &["credential_info"],
            Needless("describes the credential for people"),
        ),
        (
            &["credential_values"],
            Read(|(), _, _| FieldVerdict::Nested),
        ),
    ];
    let unused = Needless("no deployment names this credential");
    for (at, entry) in list.items().iter().enumerate() {
        let path = format!("credential_list[{at}]");
        let others = Lacks("there is no such key of a credential");
        read_fields(CREDENTIAL, &others, &mut (), entry, &path, importer);
        let Some(values) = entry.get("credential_values") else {
            continue;
        };
        let path = format!("{path}.credential_values");
        let first = values.entries().first();
        let used = first.is_some_and(|(key, _)| importer.reports.knows(&joined(&path, key)));
        if !used {
            read_fields(&[], &unused, &mut (), values, &path, importer);
        }
    }
}

/// The file with those that it includes: lists are joined, maps filled up.
fn included(node: &SourceNode, importer: &Importer<'_>) -> Result<SourceNode, ImportError> {
    let SourceNode::Map(mut entries) = node.clone() else {
        return Ok(node.clone());
    };
    let mut open = vec![node.clone()];
    let mut count = 0;
    while let Some(next) = open.pop() {
        for name in next
            .get("include")
            .map(SourceNode::items)
            .unwrap_or_default()
        {
            let Some(name) = name.name() else { continue };
            count += 1;
            if count > MOST_INCLUDED {
                let why = format!("more than {MOST_INCLUDED} files are included");
                return Err(ImportError::Unreadable(why));
            }
            let failed = |why| ImportError::Unreadable(format!("{name}: {why}"));
            let text = (importer.include)(name).map_err(failed)?;
            let read = source::parse(&text).map_err(failed)?;
            for (key, value) in read.entries().iter().filter(|(key, _)| key != "include") {
                join(&mut entries, key, value);
            }
            open.push(read);
        }
    }
    Ok(SourceNode::Map(entries))
}

fn join(entries: &mut Vec<(String, SourceNode)>, key: &str, value: &SourceNode) {
    let known = entries.iter_mut().find(|(name, _)| name == key);
    match (known.map(|(_, known)| known), value) {
        (Some(SourceNode::List(items)), SourceNode::List(more)) => {
            items.extend(more.iter().cloned())
        }
        (Some(SourceNode::Map(known)), SourceNode::Map(more)) => {
            for (key, value) in more {
                put(known, key.clone(), value.clone());
            }
        }
        (Some(known), value) => *known = value.clone(),
        (None, value) => entries.push((key.to_owned(), value.clone())),
    }
}
