//! The errors that Pointsman itself answers with: code, HTTP status and OpenAI's error type.
//! No I/O, no clock, no logging.

/// Every error code of the external contract.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCode {
    /// The body is JSON but not a request.
    InvalidRequest,
    /// The body is not JSON.
    InvalidJson,
    /// No model in the request and no default configured.
    NoDefaultModel,
    /// No upstream of the chain has a large enough context window.
    ContextLengthExceeded,
    /// A missing or unknown client token.
    InvalidClientToken,
    /// The client may not use this target.
    TargetNotAllowed,
    /// The request names a host that a page in a browser could have for its own.
    HostNotAllowed,
    /// A browser says that a page from elsewhere sent the request.
    CrossOriginRefused,
    /// The client's `max_in_flight` requests are under way already.
    ClientOverloaded,
    /// The client's requests or tokens of this minute are used up.
    ClientRateLimited,
    /// A budget that the request counts against is used up.
    ClientBudgetExhausted,
    /// What the request counts against is shared by a fleet whose server cannot be asked, and the configuration refuses then.
    FleetUnavailable,
    /// No upstream of the target has a price that is known, and a budget refuses that.
    UnpricedModel,
    /// The target is unknown.
    ModelNotFound,
    /// The route is unknown.
    RouteNotFound,
    /// The route exists, but not for this method.
    MethodNotAllowed,
    /// The body is larger than `server.max_body`.
    RequestTooLarge,
    /// The body is compressed in a way that is not read here.
    UnsupportedEncoding,
    /// The connection was to become one of another protocol, which is not spoken here.
    UpgradeRequired,
    /// Every candidate cools or is limited, and waiting cannot help in time.
    UpstreamsRateLimited,
    /// The same, when the caller forbade waiting.
    CoolingDown,
    /// `dispatch.max_waiting` requests wait already.
    WaitingRoomFull,
    /// `server.max_in_flight` requests are under way already.
    Overloaded,
    /// Every key is invalid, held or missing.
    NoUsableKeys,
    /// Everything was tried; the failures were mixed.
    UpstreamsExhausted,
    /// The last answer was malformed.
    InvalidUpstreamResponse,
    /// The request's deadline passed.
    DeadlineExceeded,
    /// No answer is kept, and the caller wants no upstream to be asked.
    NotCached,
    /// The process is shutting down.
    Draining,
    /// A field of the request has no place in the dialect of any upstream, and may not be left out.
    UnsupportedField,
    /// No upstream has what was asked for.
    NotSupported,
    /// The route was retired by those who had it.
    Retired,
    /// The request refers to what a provider holds, and nobody who could be asked has it.
    StateUnavailable,
    /// No upstream of the target is for a request like this one.
    NoUpstreamMatches,
}

impl ErrorCode {
    /// The code in the error body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidJson => "invalid_json",
            Self::NoDefaultModel => "no_default_model",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::InvalidClientToken => "invalid_client_token",
            Self::TargetNotAllowed => "target_not_allowed",
            Self::HostNotAllowed => "host_not_allowed",
            Self::CrossOriginRefused => "cross_origin_refused",
            Self::ClientOverloaded => "client_overloaded",
            Self::ClientRateLimited => "client_rate_limited",
            Self::ClientBudgetExhausted => "client_budget_exhausted",
            Self::FleetUnavailable => "fleet_unavailable",
            Self::UnpricedModel => "unpriced_model",
            Self::ModelNotFound => "model_not_found",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::UpgradeRequired => "upgrade_required",
            Self::UpstreamsRateLimited => "upstreams_rate_limited",
            Self::CoolingDown => "cooling_down",
            Self::WaitingRoomFull => "waiting_room_full",
            Self::Overloaded => "overloaded",
            Self::NoUsableKeys => "no_usable_keys",
            Self::UpstreamsExhausted => "upstreams_exhausted",
            Self::InvalidUpstreamResponse => "invalid_upstream_response",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotCached => "not_cached",
            Self::Draining => "draining",
            Self::UnsupportedField => "unsupported_field",
            Self::NotSupported => "not_supported",
            Self::Retired => "retired",
            Self::StateUnavailable => "state_unavailable",
            Self::NoUpstreamMatches => "no_upstream_matches",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::InvalidJson
            | Self::NoDefaultModel
            | Self::UnsupportedField
            | Self::NoUpstreamMatches
            | Self::ContextLengthExceeded => 400,
            Self::InvalidClientToken => 401,
            Self::TargetNotAllowed
            | Self::HostNotAllowed
            | Self::CrossOriginRefused
            | Self::UnpricedModel => 403,
            Self::ModelNotFound | Self::RouteNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::StateUnavailable => 409,
            Self::Retired => 410,
            Self::RequestTooLarge => 413,
            Self::UnsupportedEncoding => 415,
            Self::UpgradeRequired => 426,
            Self::UpstreamsRateLimited
            | Self::CoolingDown
            | Self::WaitingRoomFull
            | Self::ClientOverloaded
            | Self::ClientRateLimited
            | Self::ClientBudgetExhausted
            | Self::FleetUnavailable => 429,
            Self::NotSupported => 501,
            Self::NoUsableKeys | Self::UpstreamsExhausted | Self::InvalidUpstreamResponse => 502,
            Self::Overloaded | Self::Draining => 503,
            Self::DeadlineExceeded | Self::NotCached => 504,
        }
    }

    /// OpenAI's `type` for an error of this kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ClientBudgetExhausted => "insufficient_quota",
            _ => kind_of(self.status()),
        }
    }

    /// Whether asking again, which clients do by themselves after such a status, cannot help.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::ClientBudgetExhausted | Self::UnpricedModel)
    }
}

/// OpenAI's `type` for an error with this HTTP status.
pub const fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 => "timeout_error",
        _ => "server_error",
    }
}
