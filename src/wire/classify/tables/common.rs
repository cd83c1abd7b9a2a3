//! Errors that mean the same everywhere, asked after the provider's own table.
//!
//! A 400 or a 422 often quotes the caller's own text. What blames a key or a model needs a code there: one
//! caller's words must not take them away from all others.

use super::table::{Table, table};

table! { COMMON
    [400, 401, 403] InvalidKey if Code "invalid_api_key";
    [400, 401, 403] InvalidKey if Reason "API_KEY_INVALID";
    [401] InvalidKey if Type "authentication_error";
    [401, 403] InvalidKey if Message r"\b(incorrect|invalid|missing|expired) api[ _-]?key|\bapi[ _-]?key (is )?(not valid|invalid|expired|missing)";
    [400, 402, 403, 429] QuotaExhausted if Code "insufficient_quota";
    [400, 402, 403, 429] QuotaExhausted if Type "insufficient_quota";
    [400, 402, 403, 429] QuotaExhausted if Code "credit_balance_exhausted";
    [400, 402, 403, 429] QuotaExhausted if Code "billing_hard_limit_reached";
    [400, 402, 403, 429] QuotaExhausted if Code "usage_limit_reached";
    [400, 402, 403, 429] QuotaExhausted if Type "usage_limit_reached";
    [402, 429] QuotaExhausted if Message r"\binsufficient (account )?(balance|credits?|funds)\b|credit balance is too low";
    [429] QuotaExhausted if Message r"\bper[ -]day\b|\((TPD|RPD)\)|\bdaily (\w+ )?(limit|quota|allowance|allocation)\b|\bmonthly (\w+ )?(limit|quota|spend)";
    [400, 413, 422] CallerFault if Code "string_above_max_length";
    [400, 413, 422] ContextOverflow if Code "context_length_exceeded";
    [400, 413, 422] ContextOverflow if Type "context_length_exceeded";
    [400, 413, 422] ContextOverflow if Message r"context[_ ]length[_ ]exceeded|maximum context length is [\d,]+ tokens|exceeds (the )?(model.?s )?maximum context length|exceeds the context window|context window exceeds limit|input tokens exceed the configured limit|prompt (is )?too long|input length and `?max_tokens`? exceed context limit";
    [400, 413, 422] ContextOverflow if Message r"request_too_large|request entity too large|input is too long|input token count.*exceeds the max|maximum prompt length is \d+|reduce the length of the messages|is longer than the model.?s context length|`?inputs`? tokens \+ `?max_new_tokens`? must be|exceeds (the )?maximum allowed input length|exceeds the limit of \d+|exceeds the available context size";
    [400, 413, 422] ContextOverflow if Message r"greater than the context length|exceeded model token limit|too large for model with \d+ maximum context length|range of input length should be|current length is \d+ while limit is \d+|prompt exceeds max length|input too long: \d+ input tokens, limit is \d+|prompt tokens \(\d+\) exceed model maximum|exceeded maximum context window|model_context_window_exceeded|too many tokens";
    [400, 403] ContentPolicy if Code "content_policy_violation";
    [400, 403] ContentPolicy if Code "content_filter";
    [400, 403] ContentPolicy if Code "moderation_blocked";
    [400, 403] ContentPolicy if Code "ResponsibleAIPolicyViolation";
    [400, 403] ContentPolicy if Finish "content_filter";
    [400, 403, 404, 410, 422] ModelGone if Code "model_not_found";
    [400, 403, 404, 410, 422] ModelGone if Type "model_not_found";
    [400, 404, 410] ModelGone if Code "model_decommissioned";
    [404] ModelGone if Message r"\bmodel[ :]+\S{1,120} (does not exist|was not found|not found|has been (decommissioned|deprecated|retired|removed)|is no longer (available|supported))|\bthe (requested )?model does not exist|\bunknown model\b|\binvalid model( id| name)?[ :]*(\.|$|\S{1,120}$)|not a valid model|no such model|model[_ ]not[_ ]found|model not exist";
    [404] ModelGone if Message r"\bmodels?\b|\bdeployment\b|no endpoints found";
    [503, 529] Overloaded if Type "overloaded_error";
    [429, 503] Overloaded if Code "server_is_overloaded";
    [429, 503] Overloaded if Type "engine_overloaded_error";
    [503] Overloaded if Grpc "UNAVAILABLE";
    [503, 529] Overloaded if Message r"\boverloaded\b|\b(at|over|no) capacity\b|service (is )?(temporarily )?unavailable";
    [429] RateLimited if Code "rate_limit_exceeded";
    [429] RateLimited if Code "slow_down";
    [429] RateLimited if Type "rate_limit_error";
    [429] RateLimited if Type "rate_limit_exceeded";
    [429] RateLimited if Metadata "rate_limit_exceeded";
    [429] RateLimited if Grpc "RESOURCE_EXHAUSTED";
    [429] RateLimited if Message r"\brate.?limit|too many requests";
    [403] InvalidKey if Type "permission_error";
    [408, 500, 502, 504] Transient if Type "server_error";
    [400] CallerFault if Type "invalid_request_error";
    [400] CallerFault if Grpc "INVALID_ARGUMENT";
}
