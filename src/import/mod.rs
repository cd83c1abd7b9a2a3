//! Floor 3: settings of other programs become a configuration, with a report on each of their fields.
//!
//! Pure: texts in, texts out. Each format is one file, in which each field is one row of a table: to take another field
//! over, add its row. No key goes into the result unless that was asked for.

mod claude_code_router;
mod clouds;
mod draft;
mod error;
mod field_report;
mod importer;
mod litellm;
mod llm_gateway;
mod llmrouter;
mod openrouter;
mod portkey;
mod source;
mod spans;
mod table;
mod tree;
mod variables;

pub use error::ImportError;
pub use field_report::{FieldKind, FieldReport};

use self::importer::{Importer, References};
use self::source::SourceNode;

/// A file of YAML or JSON as JSON, within bounds.
///
/// # Errors
/// Why it cannot be read, without a word of the file.
pub fn read_json(text: &str) -> Result<serde_json::Value, String> {
    source::json_of(text)
}

/// A format that can be imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportFormat {
    /// The configuration of LiteLLM's proxy (YAML).
    LiteLlm,
    /// A gateway config of Portkey (JSON).
    Portkey,
    /// `providers.yaml` or `model_index.json` of llmrouter.
    LlmRouter,
    /// `meta-providers.yaml` or `providers.yaml` of LLM Gateway.
    LlmGateway,
    /// A request or presets of OpenRouter (JSON).
    OpenRouter,
    /// `config.json` of Claude Code Router.
    ClaudeCodeRouter,
}

type ImportReader = fn(&SourceNode, &mut Importer<'_>) -> Result<(), ImportError>;

impl ImportFormat {
    /// All formats.
    #[cfg(feature = "internals")]
    pub const ALL: [Self; 6] = [
        Self::LiteLlm,
        Self::Portkey,
        Self::LlmRouter,
        Self::LlmGateway,
        Self::OpenRouter,
        Self::ClaudeCodeRouter,
    ];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiteLlm => "litellm",
            Self::Portkey => "portkey",
            Self::LlmRouter => "llmrouter",
            Self::LlmGateway => "llm-gateway",
            Self::OpenRouter => "openrouter",
            Self::ClaudeCodeRouter => "claude-code-router",
        }
    }

    /// How it refers to variables, and what reads it.
    const fn reader(self) -> (References, ImportReader) {
        match self {
            Self::LiteLlm => (References::OsEnviron, litellm::read),
            Self::Portkey => (References::None, portkey::read),
            Self::LlmRouter => (References::None, llmrouter::read),
            Self::LlmGateway => (References::None, llm_gateway::read),
            Self::OpenRouter => (References::None, openrouter::read),
            Self::ClaudeCodeRouter => (References::Dollar, claude_code_router::read),
        }
    }
}

/// The result of an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The configuration, as YAML.
    pub yaml: String,
    /// What became of each field, in the order of the file.
    pub fields: Vec<FieldReport>,
    /// The environment variables that the configuration names.
    pub variables: Vec<String>,
}

/// Makes a configuration of another program's settings. `copy_keys`: keys that are written out are copied rather than asked
/// of variables. `include` reads a file that this one includes, by the name that it has there.
///
/// # Errors
/// Why there is no configuration in it.
pub fn import(
    format: ImportFormat,
    text: &str,
    copy_keys: bool,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Imported, ImportError> {
    let node = source::parse(text).map_err(ImportError::Unreadable)?;
    let (references, read) = format.reader();
    let mut importer = Importer::new(references, copy_keys, include);
    importer.reserve(&node);
    read(&node, &mut importer)?;
    let mut variables = importer.variables().to_vec();
    let Importer {
        mut reports, draft, ..
    } = importer;
    if draft.is_empty() {
        return Err(ImportError::Empty(reports.into_all()));
    }
    let usual = draft.usual_variables();
    let tree = draft.finish(&mut reports);
    reports.explain_addresses();
    tree.add_variables(&mut variables);
    for names in usual {
        let known = names.iter().any(|name| variables.contains(name));
        variables.extend(names.into_iter().next().filter(|_| !known));
    }
    let mut yaml = format!(
        "# Made by `pointsman import --from {}`, which also reported what became of each field.\n",
        format.as_str()
    );
    if !variables.is_empty() {
        yaml += &format!("# Set these variables: {}\n", variables.join(", "));
    }
    yaml += &tree.to_yaml();
    Ok(Imported {
        yaml,
        fields: reports.into_all(),
        variables,
    })
}
