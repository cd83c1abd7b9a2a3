//! Errors of the makers of models.

use super::table::{ErrorTable, table};

table! { OPENAI
    [401] InvalidKey if Code "invalid_api_key";
    [401] InvalidKey if Message "member of an organization|IP not authorized";
    [429] QuotaExhausted if Code "insufficient_quota";
    [429] QuotaExhausted if Code "credit_balance_exhausted";
    [429] QuotaExhausted if Code "organization_spend_limit_exceeded";
    [429] QuotaExhausted if Code "project_spend_limit_exceeded";
    [429] QuotaExhausted if Code "organization_usage_limit_exceeded";
    [429] QuotaExhausted if Code "billing_not_active";
    [400, 429] QuotaExhausted if Code "billing_hard_limit_reached";
    [400] ContextOverflow if Code "context_length_exceeded";
    [400] ContextOverflow if Message "input tokens exceed the configured limit";
    [400] ContentPolicy if Code "content_policy_violation";
    [400] ContentPolicy if Code "invalid_prompt";
    [] ContentPolicy if Finish "content_filter";
    [404] ModelGone if Code "model_not_found";
    [503] Overloaded if Code "server_is_overloaded";
    [429] Overloaded if Code "flex_unavailable";
    [403] InvalidKey if Message "country, region, or territory not supported";
    [400] CallerFault if Code "invalid_encrypted_content";
}

table! { ANTHROPIC
    [401] InvalidKey if Type "authentication_error";
    [429] QuotaExhausted if Detail "enforced_spend_limit_reached";
    [429] QuotaExhausted if Detail "contract_spend_limit_reached";
    [402] QuotaExhausted if Type "billing_error";
    [400] QuotaExhausted if Message "^Your credit balance is too low";
    [400] QuotaExhausted if Detail "organization_on_hold";
    [400, 429] TooLargeForLimit if Message "^extra usage is required for long context|^the long context beta is not yet available";
    [400] ContextOverflow if Message r"prompt is too long: \d+ tokens > \d+ maximum";
    [400] ContextOverflow if Message "input length and `max_tokens` exceed context limit";
    [413] ContextOverflow if Type "request_too_large";
    [] ContextOverflow if Finish "model_context_window_exceeded";
    [400] ContentPolicy if Message "output blocked by content filtering policy";
    [] ContentPolicy if Finish "refusal";
    [404] NotOffered if Type "not_found_error", Message r"^not found\s*$";
    [404] ModelGone if Type "not_found_error";
    [] Overloaded if Type "overloaded_error";
    [529] Overloaded if Detail "compaction_unavailable";
    [403] InvalidKey if Type "permission_error";
    [504] Transient if Type "timeout_error";
    [500] Transient if Type "api_error";
}

table! { MISTRALAI
    [401] InvalidKey if Message "unauthorized";
    [429] QuotaExhausted if Message "monthly";
    [429] QuotaExhausted if Header "x-ratelimit-remaining-tokens-month: 0";
    [400] ContextOverflow if Message r"too large for model with \d+ maximum context length";
    [400, 404] ModelGone if Code "1500";
    [404] ModelGone if Message "invalid model";
    [400] ModelGone if Message r"^invalid model: \S+\s*$";
    [429] Overloaded if Message "service tier capacity exceeded";
    [429] RateLimited if Type "rate_limited", Code "1300";
    [400] CallerFault if Code "3280";
    [400] CallerFault if Message "unexpected role 'user' after role 'tool'";
}

table! { COHERE
    [401] InvalidKey if Message "invalid api token";
    [498] InvalidKey;
    [429] QuotaExhausted if Message "trial key|calls / month";
    [400] ContextOverflow if Message "too many tokens";
}

table! { XAI
    [400] InvalidKey if Message "^Incorrect API key provided";
    [403] QuotaExhausted if Message "doesn.t have any credits|credits or licenses";
    [429] QuotaExhausted if Message "used all available credits|monthly spending limit";
    [400] ContextOverflow if Message r"maximum prompt length is \d+ but the request contains";
    [403] ContentPolicy if Message "content violates usage guidelines|safety";
    [404] ModelGone if Message "does not exist or your team .* does not have access";
    [403] InvalidKey if Message "does not have permission|blocked by .*acl";
}

table! { DEEPSEEK
    [402] QuotaExhausted if Message "insufficient balance";
    [400] ContextOverflow if Message "maximum context length is";
    [] ContentPolicy if Finish "content_filter";
    [400] ContentPolicy if Message "content exists risk";
    [400] ModelGone if Message "^model not exist";
    [] Overloaded if Finish "insufficient_system_resource";
    [400] CallerFault if Message "reasoning_content.*must be passed back";
}

table! { QWEN
    [401] InvalidKey if Code "invalid_api_key";
    [401] InvalidKey if Code "InvalidApiKey";
    [403, 429] QuotaExhausted if Message "free allocated quota exceeded";
    [403] QuotaExhausted if Code "AllocationQuota.FreeTierOnly";
    [400] QuotaExhausted if Code "Arrearage";
    [429] QuotaExhausted if Code "PrepaidBillOverdue";
    [429] QuotaExhausted if Code "PostpaidBillOverdue";
    [429] QuotaExhausted if Code "CommodityNotPurchased";
    [400] ContextOverflow if Message r"range of input length should be \[1, ?\d+\]";
    [400] ContentPolicy if Code "data_inspection_failed";
    [400] ContentPolicy if Code "DataInspectionFailed";
    [404] ModelGone if Code "model_not_found";
    [404] ModelGone if Code "model_not_supported";
    [503] Overloaded if Code "ModelServingError";
    [503] Overloaded if Code "ModelUnavailable";
    [429] RateLimited if Code "limit_requests";
    [429] RateLimited if Code "Throttling.RateQuota";
    [429] RateLimited if Code "limit_burst_rate";
    [429] RateLimited if Code "insufficient_quota";
    [429] RateLimited if Code "Throttling.AllocationQuota";
    [403] InvalidKey if Code "Model.AccessDenied";
    [] Transient if Code "RequestTimeOut";
}

table! { MOONSHOT
    [401] InvalidKey if Type "invalid_authentication_error";
    [401] InvalidKey if Type "incorrect_api_key_error";
    [429] QuotaExhausted if Type "exceeded_current_quota_error";
    [429] QuotaExhausted if Message "insufficient balance|suspended";
    [429] QuotaExhausted if Type "rate_limit_reached_error", Message "TPD";
    [400] ContextOverflow if Message r"exceeded model token limit: \d+";
    [400] ContentPolicy if Type "content_filter";
    [400] ContentPolicy if Message "considered high risk";
    [404] ModelGone if Type "resource_not_found_error";
    [429] Overloaded if Type "engine_overloaded_error";
    [429] RateLimited if Type "rate_limit_reached_error", Message "max (request|organization (concurrency|RPM|TPM))";
}

table! { ZAI
    [401] InvalidKey if Code "1000";
    [401] InvalidKey if Code "1001";
    [401] InvalidKey if Code "1002";
    [401] InvalidKey if Code "1003";
    [401] InvalidKey if Code "1004";
    [429] QuotaExhausted if Code "1113";
    [429] QuotaExhausted if Message "insufficient balance|recharge";
    [429] QuotaExhausted if Code "1304";
    [429] QuotaExhausted if Code "1308";
    [400] ContextOverflow if Code "1261";
    [400] ContextOverflow if Message "prompt exceeds max length";
    [] ContextOverflow if Finish "model_context_window_exceeded";
    [400] ContentPolicy if Code "1301";
    [] ContentPolicy if Finish "sensitive";
    [400] ModelGone if Code "1211";
    [429, 503] Overloaded if Code "1305";
    [] Overloaded if Finish "network_error";
    [429] RateLimited if Code "1302";
    [429] RateLimited if Code "1303";
    [434] InvalidKey;
    [429] InvalidKey if Message "account (anomaly|violation|locked)";
    [435] CallerFault;
}

table! { MINIMAX
    [] InvalidKey if BaseResp "1004";
    [] InvalidKey if BaseResp "2049";
    [401] InvalidKey if Message "login fail";
    [] QuotaExhausted if BaseResp "1008";
    [] QuotaExhausted if BaseResp "2056";
    [] ContextOverflow if BaseResp "2013", Message "context window exceeds limit";
    [400] ContextOverflow if Message "context window exceeds limit";
    [] ContentPolicy if BaseResp "1026";
    [] ContentPolicy if BaseResp "1027";
    [] ModelGone if BaseResp "2013", Message "^(invalid params, )?unknown model";
    [] Overloaded if BaseResp "1000";
    [] Overloaded if BaseResp "1001";
    [] Overloaded if BaseResp "1024";
    [] Overloaded if BaseResp "1033";
    [] RateLimited if BaseResp "1002";
    [] RateLimited if BaseResp "1039";
    [] RateLimited if BaseResp "1041";
    [] RateLimited if BaseResp "2045";
    [] CallerFault if BaseResp "2013";
    [] CallerFault if BaseResp "1042";
}

table! { PERPLEXITY
    [401] QuotaExhausted if Message "insufficient|quota|credit";
    [400] ContextOverflow if Message "context length|too long";
    [400] ModelGone if Type "invalid_model";
    [400] CallerFault if Type "invalid_message", Message "should (be alternating|alternate)";
}
