//! The hints of requests that leave upstreams out, by name, and what operators say of prompts at a provider. No I/O, no clock,
//! no logging.

/// What an operator says of what a provider does with prompts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum DataPolicy {
    /// Nothing.
    #[default]
    Unknown,
    /// It keeps none for purposes of its own.
    NoCollection,
    /// It keeps none at all.
    Zdr,
}

impl DataPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::NoCollection, Self::Zdr];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NoCollection => "no_collection",
            Self::Zdr => "zdr",
        }
    }
}

/// A hint that leaves upstreams out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HintField {
    /// `models`
    Models,
    /// `provider.only`
    Only,
    /// `provider.ignore`
    Ignore,
    /// `provider.allow_fallbacks`
    AllowFallbacks,
    /// `provider.max_price`
    MaxPrice,
    /// `provider.require_parameters`
    RequireParameters,
    /// `provider.data_collection`
    DataCollection,
    /// `provider.zdr`
    Zdr,
}

impl HintField {
    /// The name in logs and error messages.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Models => "hint_models",
            Self::Only => "hint_only",
            Self::Ignore => "hint_ignore",
            Self::AllowFallbacks => "hint_allow_fallbacks",
            Self::MaxPrice => "hint_max_price",
            Self::RequireParameters => "hint_require_parameters",
            Self::DataCollection => "hint_data_collection",
            Self::Zdr => "hint_zdr",
        }
    }

    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Models => "the request names other models (models)",
            Self::Only => "the request names other providers (provider.only)",
            Self::Ignore => "the request leaves its provider out (provider.ignore)",
            Self::AllowFallbacks => "the request takes no fallbacks (provider.allow_fallbacks)",
            Self::MaxPrice => {
                "it costs more than the request allows, or an unknown amount (provider.max_price)"
            }
            Self::RequireParameters => {
                "it is not known to have all that the request needs (provider.require_parameters)"
            }
            Self::DataCollection => {
                "its provider is not declared to collect nothing (provider.data_collection, data_policy)"
            }
            Self::Zdr => {
                "its provider is not declared to retain nothing (provider.zdr, data_policy)"
            }
        }
    }
}
