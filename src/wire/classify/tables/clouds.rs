//! Errors of the large clouds and the hubs.

use super::table::{ErrorTable, table};

table! { GOOGLE
    [400] InvalidKey if Reason "API_KEY_INVALID";
    [401] InvalidKey if Reason "ACCESS_TOKEN_TYPE_UNSUPPORTED";
    [401] InvalidKey if Message "Expected OAuth 2 access token";
    [403] InvalidKey if Grpc "PERMISSION_DENIED", Message "unregistered callers|reported as leaked|has been suspended|SERVICE_DISABLED";
    [429] QuotaExhausted if Grpc "RESOURCE_EXHAUSTED", QuotaId "PerDay";
    [429] QuotaExhausted if Message "limit: 0";
    [400] ContextOverflow if Message "input token count .*exceeds the maximum number of tokens allowed";
    [] ContentPolicy if Finish "SAFETY";
    [] ContentPolicy if Finish "RECITATION";
    [] ContentPolicy if Finish "BLOCKLIST";
    [] ContentPolicy if Finish "PROHIBITED_CONTENT";
    [] ContentPolicy if Finish "SPII";
    [] ContentPolicy if Finish "IMAGE_SAFETY";
    [] ContentPolicy if Finish "LANGUAGE";
    [] ContentPolicy if Finish "MODEL_ARMOR";
    [404] NotOffered if Grpc "NOT_FOUND", Message r"not supported for (batch)?(embed|predict|count|bidi)\w*";
    [404] ModelGone if Grpc "NOT_FOUND";
    [503] Overloaded if Grpc "UNAVAILABLE", Message "overloaded";
    [429] RateLimited if Grpc "RESOURCE_EXHAUSTED", QuotaId "PerMinute";
    [400] InvalidKey if Grpc "FAILED_PRECONDITION", Message "^User location is not supported";
    [400] CallerFault if Message "missing a thought_signature";
}

table! { VERTEX
    [401] InvalidKey if Grpc "UNAUTHENTICATED";
    [403] QuotaExhausted if Message "billing";
    [400] ContextOverflow if Message "input token count.*exceeds|prompt is too long";
    [404] NotOffered if Grpc "NOT_FOUND", Message r"not supported for (batch)?(embed|predict|count|bidi)\w*";
    [404] ModelGone if Grpc "NOT_FOUND";
    [429] RateLimited if Grpc "RESOURCE_EXHAUSTED", Message "resource exhausted|quota exceeded";
    [403] InvalidKey if Grpc "PERMISSION_DENIED";
    [400] InvalidKey if Grpc "FAILED_PRECONDITION";
}

table! { AZURE_OPENAI
    [401] InvalidKey if Message "invalid subscription key|PermissionDenied|invalid_api_key|access denied";
    [403] QuotaExhausted if Message "out of call volume quota|quota exceeded";
    [400] ContextOverflow if Code "context_length_exceeded";
    [400] ContextOverflow if Message "maximum context length is";
    [400] ContentPolicy if Code "content_filter";
    [] ContentPolicy if Finish "content_filter";
    [404] ModelGone if Code "DeploymentNotFound";
    [429] Overloaded if Message "system is experiencing high demand|temporarily unable to process";
    [429] RateLimited if Message "have been limited|rate limit is exceeded|exceeded (token|call) rate limit";
    [403] InvalidKey if Message "network|virtual network|temporarily blocked";
}

table! { BEDROCK
    [403] InvalidKey if Type "UnrecognizedClientException";
    [403] InvalidKey if Type "ExpiredTokenException";
    [403] InvalidKey if Message "security token|bearer token|API Key .*invalid";
    [400] QuotaExhausted if Type "ServiceQuotaExceededException";
    [429] QuotaExhausted if Message "too many tokens per day";
    [400] ContextOverflow if Type "ValidationException", Message "input is too long|too many (input )?tokens|prompt is too long";
    [400] ContextOverflow if Message r"prompt tokens \(\d+\) exceed model maximum";
    [] ContextOverflow if Finish "model_context_window_exceeded";
    [] ContentPolicy if Finish "guardrail_intervened";
    [] ContentPolicy if Finish "content_filtered";
    [404] ModelGone if Type "ResourceNotFoundException";
    [400] ModelGone if Message r"^(the provided )?model identifier is invalid|^invocation of model id \S+ with on-demand throughput isn.t supported";
    [503] Overloaded if Type "ServiceUnavailableException";
    [429] Overloaded if Type "ModelNotReadyException";
    [424] Overloaded if Type "ModelErrorException";
    [429] RateLimited if Type "ThrottlingException";
    [403] InvalidKey if Type "AccessDeniedException";
    [408] Transient if Type "ModelTimeoutException";
}

table! { CLOUDFLARE
    [401] InvalidKey if Cloudflare "10000";
    [429] QuotaExhausted if Cloudflare "3036";
    [413] ContextOverflow if Cloudflare "3006";
    [400] ContextOverflow if Message "exceeded this model context window|context window";
    [400] ModelGone if Cloudflare "5007";
    [404] ModelGone if Cloudflare "3042";
    [429] Overloaded if Cloudflare "3040";
    [403] InvalidKey if Cloudflare "5016";
    [403] InvalidKey if Cloudflare "5018";
    [403] InvalidKey if Cloudflare "3041";
    [403] InvalidKey if Cloudflare "3023";
    [400] CallerFault if Cloudflare "5004";
    [400] CallerFault if Cloudflare "3003";
}

table! { GITHUB_MODELS
    [429] QuotaExhausted if Code "RateLimitReached", Message "per 86400s|ByDay";
    [413] TooLargeForLimit if Code "tokens_limit_reached";
    [400] ContentPolicy if Code "content_filter";
    [429] RateLimited if Code "RateLimitReached", Message "per 60s|UserByModelByMinute";
}

table! { NVIDIA_NIM
    [403] InvalidKey if Message "authorization failed";
    [400] ContextOverflow if Message "maximum context length";
    [404] ModelGone if Message "Function '.*': Not found for account";
    [429] Overloaded if Message "ResourceExhausted|worker local total request limit";
    [429] RateLimited if Message "too many requests";
}

table! { HUGGINGFACE
    [402] QuotaExhausted if Message "exceeded your monthly included credits";
    [400] ModelGone if Code "model_not_supported";
    [400] ModelGone if Message r"^the requested model \S+ is not supported by any provider";
}

table! { SCALEWAY
    [400] ContextOverflow if Message "exceeded maximum context window";
    [422] ModelGone if Message r"^(unprocessable( entity)?\s+)?(model not found|missing model)";
}
