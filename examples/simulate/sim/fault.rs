//! Everything an upstream may do to an attempt, each kind with a name and a counter.

macro_rules! faults {
    ($($name:ident $text:literal,)+) => {
        /// What an upstream does with one attempt.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Fault { $($name),+ }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

faults! {
    Good "good",
    LimitSeconds "429 retry-after seconds",
    LimitFraction "429 retry-after fraction",
    LimitMillis "429 retry-after-ms",
    LimitDate "429 retry-after date",
    LimitPast "429 date in the past",
    LimitNegative "429 negative",
    LimitGarbage "429 garbage",
    LimitHuge "429 huge",
    LimitReset "429 reset headers only",
    LimitWords "429 in words",
    LimitBare "429 without a hint",
    PaymentRequired "402",
    QuotaIn429 "429 insufficient_quota",
    Unauthorized "401",
    ForbiddenKey "403 about the key",
    ForbiddenBare "403 that says nothing",
    TooLarge "429 too large for the limit",
    TooLargeInside "200 with too large for the limit",
    Unsupported "404 no tools",
    UnsupportedInside "200 with no tools",
    ForeignForbidden "403 of a firewall",
    ForeignNotFound "404 of an ingress",
    ForeignProxy "407 of a proxy",
    ForeignQuoted "404 of a router's ingress",
    Error500 "500",
    BadGateway "502",
    Unavailable "503",
    UnavailableHint "503 retry-after",
    Overloaded "529",
    RequestTimeout "408",
    BadRequest "400",
    Unprocessable "422",
    ContextOverflow "context overflow",
    ContentPolicy "content policy",
    ModelGone "model gone",
    Refused "refused",
    ConnectTimeout "connect timeout",
    ResetBeforeHead "reset before the head",
    ResetAfterHead "reset after the head",
    ResetMidBody "reset in the body",
    Silent "silent",
    HeadThenNothing "head, then nothing",
    SlowFirstToken "slow first token",
    CommentsForEver "comments for ever",
    BlankForEver "blank lines for ever",
    NothingForEver "empty pieces for ever",
    EmptyForEver "empty deltas for ever",
    BytesForEver "a byte a second for ever",
    BlankFlood "blank lines without a pause",
    CommentFlood "comments without a pause",
    EmptyFlood "empty deltas without a pause",
    LineFlood "a line without end",
    BodyFlood "a body without end",
    Stall "stall in the stream",
    BlankStall "blank lines in place of the stream",
    CommentStall "comments in place of the stream",
    EmptyStall "empty deltas in place of the stream",
    ByteStall "a byte a second in place of the stream",
    LineStall "a line without end in the stream",
    FinishFlood "a flood after the finish reason",
    DoneFlood "a flood after [DONE]",
    Drip "drip",
    Cut "cut stream",
    MalformedFirst "malformed first event",
    MalformedMiddle "malformed event in the middle",
    ErrorFirst "error event first",
    LimitFirst "rate limit event first",
    TooLargeFirst "too large event first",
    UnsupportedFirst "no tools event first",
    ErrorMiddle "error event in the middle",
    NoDone "no [DONE]",
    NoDoneNoClose "no [DONE] and no close",
    Sliced "sliced events",
    DoneOnly "[DONE] without content",
    ErrorJson "200 with an error",
    Html "200 with HTML",
    Empty "200 with nothing",
    Truncated "200 truncated",
    WholeForStream "whole for a stream",
}

impl Fault {
    /// The kind that this one is for a request of the other form: some faults exist in streams alone.
    pub const fn in_form(self, stream: bool) -> Self {
        if stream {
            return match self {
                Self::Truncated => Self::Cut,
                Self::BodyFlood => Self::LineFlood,
                other => other,
            };
        }
        match self {
            Self::SlowFirstToken => Self::HeadThenNothing,
            Self::Stall => Self::Silent,
            Self::CommentsForEver | Self::EmptyForEver | Self::FinishFlood | Self::DoneFlood => {
                Self::BlankForEver
            }
            Self::BlankStall | Self::CommentStall | Self::EmptyStall | Self::ByteStall => {
                Self::BytesForEver
            }
            Self::BlankFlood
            | Self::CommentFlood
            | Self::EmptyFlood
            | Self::LineFlood
            | Self::LineStall => Self::BodyFlood,
            Self::Cut => Self::ResetMidBody,
            Self::MalformedFirst | Self::MalformedMiddle | Self::WholeForStream => Self::Truncated,
            Self::ErrorFirst | Self::LimitFirst | Self::ErrorMiddle => Self::ErrorJson,
            Self::TooLargeFirst => Self::TooLargeInside,
            Self::UnsupportedFirst => Self::UnsupportedInside,
            Self::NoDone | Self::NoDoneNoClose | Self::Drip => Self::Sliced,
            Self::DoneOnly => Self::Empty,
            other => other,
        }
    }

    /// Whether a patient client gets its whole answer all the same.
    pub const fn serves(self) -> bool {
        matches!(
            self,
            Self::Good
                | Self::Sliced
                | Self::NoDone
                | Self::NoDoneNoClose
                | Self::Drip
                | Self::FinishFlood
                | Self::DoneFlood
        )
    }

    /// Those that never end.
    pub const ENDLESS: [Self; 17] = [
        Self::CommentsForEver,
        Self::BlankForEver,
        Self::NothingForEver,
        Self::EmptyForEver,
        Self::BytesForEver,
        Self::BlankFlood,
        Self::CommentFlood,
        Self::EmptyFlood,
        Self::LineFlood,
        Self::BodyFlood,
        Self::BlankStall,
        Self::CommentStall,
        Self::EmptyStall,
        Self::ByteStall,
        Self::LineStall,
        Self::FinishFlood,
        Self::DoneFlood,
    ];

    /// The faults that may befall any single attempt.
    pub fn of_attempts() -> impl Iterator<Item = Self> {
        let own = |fault: &Self| {
            !matches!(
                fault,
                Self::Good | Self::ContextOverflow | Self::ContentPolicy
            )
        };
        Self::ALL.iter().copied().filter(own)
    }
}
