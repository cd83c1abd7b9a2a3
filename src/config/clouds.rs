//! Where the clouds that host others' models are called: their addresses are made of a region, a project or a resource, which
//! the file names, or the variables of the vendors' own tools.

use std::collections::BTreeMap;

use super::catalog::{BuiltIn, Cloud};
use super::credentials::project_of;
use super::raw::ProviderSection;
use super::resolved::KeyConfig;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::UpstreamDialect;
use crate::wire::dialects::Dialect;

/// Where AWS is asked if nobody says.
const USUAL_REGION: &str = "us-east-1";
/// The same at Google: the nearest region with room.
const USUAL_LOCATION: &str = "global";
const BEDROCK_HOSTS: [&str; 3] = [
    "bedrock-runtime.",
    "bedrock-runtime-fips.",
    "bedrock-mantle.",
];

/// What the file says of a cloud.
#[derive(Clone, Debug, Default)]
pub(super) struct CloudSettings {
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    /// What stands in the query of every call.
    pub(super) query: Vec<(String, ApiKey)>,
}

impl CloudSettings {
    /// Takes them out of a provider's section.
    pub(super) fn taken(raw: &mut ProviderSection) -> Self {
        Self {
            region: raw.region.take(),
            project: raw.project.take(),
            query: raw.query.take().map(|query| query.0).unwrap_or_default(),
        }
    }
}

/// Something that is missing: what, and what to do.
pub(super) type MissingSetting = (String, String);

type Env = BTreeMap<String, String>;

fn get<'a>(env: &'a Env, names: &[&str]) -> Option<&'a str> {
    let mut values = names.iter().filter_map(|name| env.get(*name));
    values
        .find(|value| !value.trim().is_empty())
        .map(|value| value.trim())
}

fn region_of_env(env: &Env) -> Option<&str> {
    get(env, &["AWS_REGION", "AWS_DEFAULT_REGION"])
}

/// The region that signatures are for: that of the file, of the host that is called, of the environment.
pub(super) fn region(settings: &CloudSettings, base_url: &str, env: &Env) -> String {
    let host = base_url.split_once("://").map_or("", |(_, rest)| rest);
    let of_host = BEDROCK_HOSTS.iter().find_map(|start| {
        let (region, _) = host.strip_prefix(start)?.split_once('.')?;
        Some(region)
    });
    let region = settings.region.as_deref().or(of_host);
    region
        .or_else(|| region_of_env(env))
        .unwrap_or(USUAL_REGION)
        .to_owned()
}

/// The API root of a built-in cloud, from what the file and the environment say; completes `settings` with what the
/// environment has of them.
///
/// # Errors
/// What is missing.
pub(super) fn base_url(
    entry: &BuiltIn,
    dialect: Dialect,
    keys: &[KeyConfig],
    settings: &mut CloudSettings,
    env: &Env,
) -> Result<String, MissingSetting> {
    match entry.cloud {
        None => Ok(entry.base_url.clone()),
        Some(Cloud::Aws) => {
            let named = get(
                env,
                &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_BEDROCK_BASE_URL"],
            );
            if let Some(url) = named {
                return Ok(url.to_owned());
            }
            let region = settings.region.as_deref().or_else(|| region_of_env(env));
            let region = region.unwrap_or(USUAL_REGION);
            Ok(format!("https://bedrock-runtime.{region}.amazonaws.com"))
        }
        Some(Cloud::Azure) => {
            let resource = get(env, &["AZURE_RESOURCE_NAME"]);
            let resource = resource.map(|name| format!("https://{name}.openai.azure.com"));
            let endpoint = get(env, &["AZURE_OPENAI_ENDPOINT"])
                .map(str::to_owned)
                .or(resource);
            let endpoint = endpoint.ok_or_else(|| {
                let what = "nothing says where the resource is";
                let how = "set AZURE_OPENAI_ENDPOINT, or write base_url";
                (what.to_owned(), how.to_owned())
            })?;
            let version = get(env, &["OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION"]);
            if let Some(version) = version
                && !has_version(settings)
            {
                let pair = ("api-version".to_owned(), ApiKey::new(version));
                settings.query.push(pair);
            }
            Ok(azure_root(&endpoint, settings))
        }
        Some(Cloud::Google) => google_root(dialect, keys, settings, env),
    }
}

/// The root of a project's models at Google.
fn google_root(
    dialect: Dialect,
    keys: &[KeyConfig],
    settings: &CloudSettings,
    env: &Env,
) -> Result<String, MissingSetting> {
    let project = get(
        env,
        &[
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_VERTEX_PROJECT",
            "ANTHROPIC_VERTEX_PROJECT_ID",
        ],
    );
    let project = settings
        .project
        .clone()
        .or_else(|| project.map(str::to_owned));
    let project = project.or_else(|| project_of(keys)).ok_or_else(|| {
        let what = "nothing says which project is asked";
        let how = "set GOOGLE_CLOUD_PROJECT, or write project";
        (what.to_owned(), how.to_owned())
    })?;
    let location = get(
        env,
        &[
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_VERTEX_LOCATION",
            "CLOUD_ML_REGION",
        ],
    );
    let location = settings
        .region
        .as_deref()
        .or(location)
        .unwrap_or(USUAL_LOCATION);
    let host = match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        location => format!("{location}-aiplatform.googleapis.com"),
    };
    let root = format!("https://{host}/v1/projects/{project}/locations/{location}");
    Ok(published(root, dialect))
}

fn has_version(settings: &CloudSettings) -> bool {
    settings.query.iter().any(|(name, _)| name == "api-version")
}

/// The root of an API at Azure: where a resource alone is named, the version that is asked for tells which of its two forms
/// is meant.
pub(super) fn azure_root(url: &str, settings: &CloudSettings) -> String {
    let url = url.trim().trim_end_matches('/');
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let root = match path {
        "" => format!("{url}/openai"),
        "openai" => url.to_owned(),
        _ => return url.to_owned(),
    };
    let version = settings
        .query
        .iter()
        .find(|(name, _)| name == "api-version");
    match version.map(|(_, version)| version.expose()) {
        // Dates belong to the older form, in which the deployment stands in the path.
        Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{root}/deployments/{{deployment}}")
        }
        _ => format!("{root}/v1"),
    }
}

/// The root of a publisher's models at Google, where a location alone is named.
pub(super) fn published(root: String, dialect: Dialect) -> String {
    match dialect.on_google().and_then(UpstreamDialect::publisher) {
        Some(publisher) if !root.contains("/publishers/") => {
            format!("{}/publishers/{publisher}", root.trim_end_matches('/'))
        }
        _ => root,
    }
}

/// The way in that an entry has where the file names none.
pub(super) fn usual_scheme(entry: &BuiltIn) -> Option<AuthScheme> {
    match entry.cloud {
        Some(Cloud::Google) => Some(AuthScheme::Google),
        Some(Cloud::Azure) => Some(AuthScheme::ApiKey),
        Some(Cloud::Aws) | None => None,
    }
}

/// The way in by what several variables of an entry's cloud hold, where it has no key by itself.
pub(super) fn made_scheme(entry: &BuiltIn) -> Option<AuthScheme> {
    match entry.cloud? {
        Cloud::Google => Some(AuthScheme::Google),
        Cloud::Azure => Some(AuthScheme::Azure),
        Cloud::Aws => Some(AuthScheme::Aws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::catalog;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    fn url(id: &str, pairs: &[(&str, &str)]) -> Result<String, MissingSetting> {
        let entry = catalog::find(id).unwrap();
        let mut settings = CloudSettings::default();
        base_url(entry, entry.dialect(), &[], &mut settings, &env(pairs))
    }

    #[test]
    fn addresses_are_made_of_what_the_vendors_tools_read() {
        for (id, pairs, expected) in [
            (
                "bedrock",
                &[("AWS_REGION", "eu-west-1")][..],
                "https://bedrock-runtime.eu-west-1.amazonaws.com",
            ),
            (
                "bedrock",
                &[],
                "https://bedrock-runtime.us-east-1.amazonaws.com",
            ),
            (
                "bedrock",
                &[("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:1")],
                "http://127.0.0.1:1",
            ),
            (
                "azure_openai",
                &[("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")],
                "https://r.openai.azure.com/openai/v1",
            ),
            (
                "azure_openai",
                &[
                    ("AZURE_RESOURCE_NAME", "r"),
                    ("OPENAI_API_VERSION", "2024-10-21"),
                ],
                "https://r.openai.azure.com/openai/deployments/{deployment}",
            ),
            (
                "azure_openai",
                &[
                    ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com"),
                    ("OPENAI_API_VERSION", "preview"),
                ],
                "https://r.openai.azure.com/openai/v1",
            ),
            (
                "vertex",
                &[
                    ("GOOGLE_CLOUD_PROJECT", "p"),
                    ("GOOGLE_CLOUD_LOCATION", "europe-west4"),
                ],
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google",
            ),
            (
                "vertex_anthropic",
                &[("ANTHROPIC_VERTEX_PROJECT_ID", "p")],
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic",
            ),
            (
                "vertex",
                &[("GOOGLE_CLOUD_PROJECT", "p"), ("CLOUD_ML_REGION", "eu")],
                "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google",
            ),
        ] {
            assert_eq!(url(id, pairs).as_deref(), Ok(expected), "{id}");
        }
        assert!(url("azure_openai", &[]).is_err() && url("vertex", &[]).is_err());
    }

    #[test]
    fn signatures_are_for_the_region_that_is_called() {
        let settings = CloudSettings::default();
        let host = "https://bedrock-runtime.eu-central-1.amazonaws.com";
        assert_eq!(
            region(&settings, host, &env(&[("AWS_REGION", "x")])),
            "eu-central-1"
        );
        let own = CloudSettings {
            region: Some("r".to_owned()),
            ..settings.clone()
        };
        assert_eq!(region(&own, host, &Env::new()), "r");
        assert_eq!(
            region(
                &settings,
                "http://127.0.0.1:1",
                &env(&[("AWS_DEFAULT_REGION", "d")])
            ),
            "d"
        );
        assert_eq!(
            region(&settings, "http://127.0.0.1:1", &Env::new()),
            USUAL_REGION
        );
    }
}
