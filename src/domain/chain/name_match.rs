//! How names in requests are looked up.

/// What a name in a request means that nothing is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NameMatch {
    /// Nothing.
    #[default]
    Exact,
    /// Every listed model whose id contains it, in the order in which they are listed.
    Substring,
}

impl NameMatch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Exact, Self::Substring];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Substring => "substring",
        }
    }
}
