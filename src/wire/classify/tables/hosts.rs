//! Errors of providers that host the models of others.

use super::table::{ErrorTable, table};

table! { GROQ
    [401] InvalidKey if Code "invalid_api_key";
    [429] QuotaExhausted if Code "rate_limit_exceeded", Message "(requests|tokens) per day";
    [429] QuotaExhausted if Code "blocked_api_access";
    [400] ContextOverflow if Code "context_length_exceeded";
    [400] ContextOverflow if Message "reduce the length of the messages";
    [413] TooLargeForLimit if Message "Request too large for model";
    [404] ModelGone if Code "model_not_found";
    [400] ModelGone if Code "model_decommissioned";
    [403] ModelGone if Code "model_permission_blocked_org";
    [498] Overloaded if Code "capacity_exceeded";
    [429] RateLimited if Code "rate_limit_exceeded", Message "on (tokens|requests|input tokens|output tokens) per minute";
    [400] CallerFault if Code "tool_use_failed";
    [400] CallerFault if Code "json_validate_failed";
}

table! { CEREBRAS
    [401] InvalidKey if Code "wrong_api_key";
    [429] QuotaExhausted if Message "per (day|month) limit exceeded";
    [400] ContextOverflow if Code "context_length_exceeded";
    [400, 413] ContextOverflow if Body "empty";
    [400] ContextOverflow if Message r"current length is \d+ while limit is \d+";
    [404] ModelGone if Code "model_not_found";
    [429] Overloaded if Code "queue_exceeded";
    [429] RateLimited if Type "too_many_requests_error", Code "request_quota_exceeded";
    [429] RateLimited if Code "token_quota_exceeded", Message "Tokens per minute limit exceeded";
}

table! { OPENROUTER
    [401] InvalidKey if Metadata "authentication";
    [429] QuotaExhausted if Message "free-models-per-day";
    [402] RateLimited if Metadata "in_flight_budget_exhausted";
    [402] QuotaExhausted if Metadata "payment_required";
    [403] QuotaExhausted if Message "^key limit exceeded";
    [400] ContextOverflow if Metadata "context_length_exceeded";
    [400] ContextOverflow if Metadata "token_limit_exceeded";
    [404] Unsupported if Message "^no endpoints (found|available) (that|matching)|^no allowed providers are available|^all providers have been ignored";
    [403] ContentPolicy if Message r"\bmoderation\b|\bflagged\b|content policy";
    [] ContentPolicy if Metadata "content_policy_violation";
    [] ContentPolicy if Metadata "refusal";
    [400] ModelGone if Message r"^\S+ is not a valid model ID";
    [404] ModelGone if Metadata "not_found";
    [502, 503, 529] Overloaded if Metadata "provider_overloaded";
    [502] Overloaded if Metadata "provider_unavailable";
    [429] RateLimited if Message "free-models-per-min";
    [403] InvalidKey if Metadata "permission_denied";
}

table! { TOGETHERAI
    [401] InvalidKey if Message "invalid private key|invalid api key";
    [403] ContextOverflow;
    [400, 422] ContextOverflow if Message r"`inputs` tokens \+ `max_new_tokens` must be|longer than the model's context length";
}

table! { FIREWORKS
    [412] QuotaExhausted;
    [400] ContextOverflow if Message "maximum context length|prompt is too long";
}

table! { DEEPINFRA
    [401] InvalidKey if Message "not authenticated|user is not authenticated";
    [] QuotaExhausted if Message "^(you )?need positive balance to do inference|^(your )?balance exhausted";
    [400] ContextOverflow if Message r"input too long: \d+ input tokens, limit is \d+";
    [429] Overloaded if Message "model busy, retry later|engine_overloaded";
    [429] RateLimited if Message "rate limited";
}

table! { FEATHERLESS
    [400] ContextOverflow if Message "maximum context length";
    [400] Overloaded if Message r"^(the )?(requested )?model\b[^:]{0,160}\b(cold|not ready for inference)\b";
    [429] RateLimited if Message "concurren";
}

table! { NOVITA
    [403] InvalidKey if Message "INVALID_API_KEY";
    [403] QuotaExhausted if Message "NOT_ENOUGH_BALANCE";
    [400] ContextOverflow if Message "maximum context length";
    [404] ModelGone if Message "MODEL_NOT_FOUND";
}

table! { SAMBANOVA
    [402] QuotaExhausted if Code "PAYMENT_METHOD_REQUIRED";
    [400] ContextOverflow if Message "context length";
}
