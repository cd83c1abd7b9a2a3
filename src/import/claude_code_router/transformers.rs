//! Transformers, a row for each: what they do is done by a dialect here, by a parameter, or not at all.

use crate::import::draft::DraftProvider;
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::tree::YamlTree;

/// What transformers make of a provider.
#[derive(Default)]
pub(super) struct Transformed {
    /// The dialect that is spoken.
    pub(super) dialect: Option<&'static str>,
    /// Why the provider cannot be called at all.
    pub(super) refused: Option<&'static str>,
    settings: Vec<(Vec<String>, YamlTree)>,
}

impl Transformed {
    /// Sets what they say.
    pub(super) fn apply(&self, provider: &mut DraftProvider) {
        for (path, value) in &self.settings {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            provider.set(&path, value.clone());
        }
    }

    fn set(&mut self, path: &[&str], value: YamlTree) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.settings.push((path, value));
    }
}

/// What a transformer becomes.
enum Transformer {
    /// This dialect.
    Dialect(&'static str),
    /// Nothing, because of that.
    Needless(&'static str),
    /// It is not done.
    Lacks(&'static str),
    /// Without it the provider cannot be called.
    Refuses(&'static str),
    /// Its options are read.
    Read(fn(&mut Transformed, &SourceNode, &mut Importer<'_>) -> FieldVerdict),
}

const TRANSLATED: &str = "translation between dialects does that";

const TRANSFORMERS: &[(&str, Transformer)] = &[
    ("anthropic", Transformer::Dialect("anthropic")),
    ("gemini", Transformer::Dialect("gemini")),
    ("openai-responses", Transformer::Dialect("responses")),
    ("openai-response", Transformer::Dialect("responses")),
    (
        "openai",
        Transformer::Needless("OpenAI's API is the usual dialect"),
    ),
    ("openrouter", Transformer::Read(openrouter)),
    ("deepseek", Transformer::Needless(TRANSLATED)),
    ("groq", Transformer::Needless(TRANSLATED)),
    ("cerebras", Transformer::Needless(TRANSLATED)),
    ("vercel", Transformer::Needless(TRANSLATED)),
    ("reasoning", Transformer::Needless(TRANSLATED)),
    (
        "forcereasoning",
        Transformer::Lacks("no words are put into prompts"),
    ),
    ("maxtoken", Transformer::Read(max_tokens)),
    (
        "maxcompletiontokens",
        Transformer::Needless("the name of the limit follows the upstream"),
    ),
    (
        "streamoptions",
        Transformer::Needless("usage is asked for in every stream"),
    ),
    ("sampling", Transformer::Read(sampling)),
    ("customparams", Transformer::Read(custom)),
    (
        "cleancache",
        Transformer::Needless("marks for caches go only where they are understood"),
    ),
    (
        "tooluse",
        Transformer::Lacks("tool_choice stays what the caller says"),
    ),
    (
        "enhancetool",
        Transformer::Lacks("arguments of calls are passed on as the model wrote them"),
    ),
    (
        "vertex-gemini",
        Transformer::Refuses("write it as the provider `vertex` with project and region"),
    ),
    (
        "vertex-claude",
        Transformer::Refuses("write it as the provider `vertex_anthropic` with project and region"),
    ),
    (
        "gemini-cli",
        Transformer::Refuses("a login of the Gemini CLI does not let in"),
    ),
    (
        "qwen-cli",
        Transformer::Refuses("a login of the Qwen CLI does not let in"),
    ),
    (
        "rovo-cli",
        Transformer::Refuses("a login of Rovo Dev does not let in"),
    ),
];

/// Reads a list of transformers: names, or names with options.
pub(super) fn read_transformers(
    into: &mut Transformed,
    list: &SourceNode,
    path: &str,
    importer: &mut Importer<'_>,
) {
    for (at, item) in list.items().iter().enumerate() {
        let path = format!("{path}[{at}]");
        let (name, options) = match item {
            SourceNode::List(parts) => {
                let name = parts.first().and_then(SourceNode::name);
                (name, parts.get(1))
            }
            other => (other.name(), None),
        };
        let name = name.unwrap_or_default();
        let options = options.unwrap_or(&SourceNode::Null);
        let found = TRANSFORMERS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        let verdict = match found.map(|(_, transformer)| transformer) {
            Some(Transformer::Dialect(dialect)) => {
                into.dialect = Some(dialect);
                mapped(format!("llm.providers[].dialect: {dialect}"))
            }
            Some(Transformer::Needless(why)) => needless(*why),
            Some(Transformer::Lacks(why)) => unsupported(*why),
            Some(Transformer::Refuses(why)) => {
                into.refused = Some(why);
                unsupported(*why)
            }
            Some(Transformer::Read(read)) => read(into, options, importer),
            None => unsupported("scripts are not run, and none of this name is known"),
        };
        importer.reports.add(&path, name.to_owned(), verdict);
    }
}

fn openrouter(
    into: &mut Transformed,
    options: &SourceNode,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if let Some(provider) = options.get("provider") {
        let tree = importer.tree("provider", provider);
        into.set(&["params", "provider"], tree);
    }
    for (option, header) in [("referer", "HTTP-Referer"), ("title", "X-Title")] {
        if let Some(value) = options.get(option).and_then(SourceNode::name) {
            into.set(&["headers", header], YamlTree::literal(value));
        }
    }
    match options.entries().is_empty() {
        true => needless(TRANSLATED),
        false => mapped_with("llm.providers[].params.provider", "and headers"),
    }
}

fn max_tokens(into: &mut Transformed, options: &SourceNode, _: &mut Importer<'_>) -> FieldVerdict {
    match options
        .get("max_tokens")
        .and_then(SourceNode::number)
        .filter(|count| *count >= 1.0)
    {
        Some(count) => {
            into.set(
                &["capabilities", "max_output_tokens"],
                YamlTree::bare(count),
            );
            approximated(
                "llm.providers[].capabilities.max_output_tokens",
                "what a request allows beyond that is bounded, where no other upstream takes it",
            )
        }
        None => unsupported("expected max_tokens"),
    }
}

fn sampling(
    into: &mut Transformed,
    options: &SourceNode,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    custom(into, options, importer)
}

fn custom(
    into: &mut Transformed,
    options: &SourceNode,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, value) in options.entries() {
        let value = importer.tree(name, value);
        into.set(&["params", name], value);
    }
    match options.entries().is_empty() {
        true => needless("nothing is set by it"),
        false => approximated(
            "llm.providers[].params",
            "filled in where the request has none",
        ),
    }
}
