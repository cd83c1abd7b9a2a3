//! Errors that mean the same everywhere, asked after the provider's own table.
//!
//! A 400 or a 422 often quotes the caller's own text. What blames a key or a model needs a code there: one
//! caller's words must not take them away from all others.

use super::table::{ErrorTable, table};

// What an error without a status says of a key, a credit or a model, asked before the rest. These are whole sentences of providers;
// no text may precede them, since routers and agents quote the errors of others.
table! { STATUSLESS
    [] InvalidKey if Message r"^(incorrect|invalid) api key provided\b|^api key not valid\. please pass a valid api key";
    [] QuotaExhausted if Message r"^your credit balance is too low\b";
    [] ModelGone if Message r"^(error: )?(the )?model [`'\x22]\S{1,120}[`'\x22] (does not exist|(was )?not found|is no longer (available|supported)|has been (decommissioned|deprecated|retired|removed))\b|^the model \S{1,120} does not exist\b";
}

table! { COMMON
    [400, 401, 403] InvalidKey if Code "invalid_api_key";
    [400, 401, 403] InvalidKey if Reason "API_KEY_INVALID";
    [400, 401, 403] InvalidKey if Name "organization_restricted";
    [400, 401, 403] InvalidKey if Name "account_deactivated";
    [401] InvalidKey if Type "authentication_error";
    [401, 403] InvalidKey if Message r"\b(incorrect|invalid|missing|expired) api[ _-]?key|\bapi[ _-]?key (is )?(not valid|invalid|expired|missing)";

    [400, 402, 403, 429] QuotaExhausted if Name "insufficient_quota";
    [400, 402, 403, 429] QuotaExhausted if Name "insufficient_user_quota";
    [400, 402, 403, 429] QuotaExhausted if Name "pre_consume_token_quota_failed";
    [400, 402, 403, 429] QuotaExhausted if Name "insufficient_credits";
    [400, 402, 403, 429] QuotaExhausted if Name "credit_balance_exhausted";
    [400, 402, 403, 429] QuotaExhausted if Name "insufficient_balance";
    [400, 402, 403, 429] QuotaExhausted if Name "insufficient_funds";
    [400, 402, 403, 429] QuotaExhausted if Name "out_of_credits";
    [400, 402, 403, 429] QuotaExhausted if Name "payment_required";
    [400, 402, 403, 429] QuotaExhausted if Name "billing_hard_limit_reached";
    [400, 402, 403, 429] QuotaExhausted if Name "billing_not_active";
    [400, 402, 403, 429] QuotaExhausted if Name "budget_exceeded";
    [400, 402, 403, 429] QuotaExhausted if Name "usage_limit_reached";
    [402, 403, 429] QuotaExhausted if Message r"\binsufficient (account )?(balance|credits?|funds)\b|credit balance is too low|\b(out of|no more) credits\b|account is not active, please check your billing";
    [402, 403, 429] QuotaExhausted if Message r"\bkey (total |daily |weekly |monthly )?limit (has been )?(exceeded|reached)|\b(spend(ing)?|budget|credit|total cost) (limit|cap|quota)s? (has been |was |is )?(exceeded|reached|hit)|\b(exceed(s|ed)?|reached|hit) (the |your |its |this |a )?((key|team|user|project|organization|workspace|account|monthly|weekly|daily|total|max)('s)? )*(spend(ing)?|budget|credit)( limit| cap| quota)?\b|\bbudget has been exceeded";
    [402, 403, 429] QuotaExhausted if Message r"\b(balance|credits?|funds) (is|are|has been|have been) (insufficient|depleted|exhausted|used up)\b|\bfree (trial|credits?|quota|tier)\b.{0,30}\b(has|have|is|are) (ended|expired|exhausted|depleted|used up|over)\b";
    [402, 403, 429] QuotaExhausted if Message "额度不足|额度已用尽|余额不足|欠费";
    [429] QuotaExhausted if Message r"\bper[ -]day\b|\((TPD|RPD)\)|\bdaily (\w+ )?(limit|quota|allowance|allocation)\b|\bmonthly (\w+ )?(limit|quota|spend)";

    [402, 413, 429] TooLargeForLimit if Message r"^request too large for\b|\b(limit|maximum|quota) (for|of|per) (a |one |each )?single request\b";
    [400, 413, 429] TooLargeForLimit if Name "tokens_limit_reached";

    [400, 413, 422] CallerFault if Code "string_above_max_length";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Name "context_length_exceeded";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Name "context_window_exceeded";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Name "exceed_context_size_error";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Name "model_max_prompt_tokens_exceeded";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Message r"context[_ ]length[_ ]exceeded|context ?window ?exceeded|maximum context length (is|of) [\d,]+|exceeds (the )?(model.?s )?maximum context length|exceed(s|ed)? (the )?context window|context window exceeds limit|input tokens exceed the configured limit|prompt (is )?too long|input length and `?max_tokens`? exceed context limit";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Message r"\bis (longer|greater|larger) than (the )?(model.?s |maximum |max )*(context|model|sequence)[ _](length|window|size)|context (length|size|window) of only [\d,]+|context length is only [\d,]+|reached context length of \d+|context (the )?overflows|exceeds? (the |maximum |available |model.?s )*context (length|size|window)|context size has been exceeded|too long to fit into the model|exceeds? (the )?max_(model|seq|input)_len|(greater|less) than (the )?max_seq_len|exceeds? (the )?(session_len|cache size)";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Message r"`?inputs`? must have less than \d+ tokens|`?inputs`? tokens \+ `?max_new_tokens`? must be|exceeds (the )?maximum (allowed )?input length|input prompt \(\d+ tokens\) is too long|input length \(?\d+( tokens)?\)? exceeds the maximum|should not exceed max_(num_tokens|seq_len)|too large to process.{0,40}physical batch size|requested tokens \(\d+\) exceed context window|input token count is [\d,]+ but (the )?model only supports|expected maxLength: \d+, actual: \d+|prompt token count of \d+ exceeds|exceed max message tokens|prompt_tokens \(\d+\) must be less than|total number of tokens .{0,60}cannot exceed \d+";
    [400, 413, 422, 424, 429, 500, 502, 503] ContextOverflow if Message r"(输入|提示|上下文|prompt|文本).{0,12}(过长|超长|超出|超过)|超(出|过)了?(模型)?的?最大(上下文|输入|长度)";
    [400, 413, 422] ContextOverflow if Message r"request_too_large|request entity too large|input is too long|input token count.*exceeds the max|maximum prompt length is \d+|reduce the length of the (messages|input|prompt)|exceeds the limit of \d+";
    [400, 413, 422] ContextOverflow if Message r"\b(prompt|input|conversation|context|chat( history)?|messages?( history)?|sequence)( \w+){0,2} (is|are) too (long|large)\b|(maximale kontextl|kontextfenster|longueur.{0,12} contexte|longitud.{0,12} contexto)|context (size|length|window)( limit)? (exceeded|overflow)|token limit exceeded";
    [400, 413, 422] ContextOverflow if Message r"exceeded model token limit|too large for model with \d+ maximum context length|range of input length should be|current length is \d+ while limit is \d+|prompt exceeds max length|input too long: \d+ input tokens, limit is \d+|prompt tokens \(\d+\) exceed model maximum|exceeded maximum context window|model_context_window_exceeded|too many tokens";

    [400, 404, 422] Unsupported if Name "unsupported_parameter";
    [400, 404, 422] Unsupported if Name "unsupported_value";
    [400, 404, 422] NotOffered if Name "unsupported_api_for_model";
    [400, 404, 405, 422] NotOffered if Name "unknown_url";
    [400, 404, 422, 500, 501] NotOffered if Message r"\b(do(es)?|can)( not|n.t) (currently |yet )?support (the )?((text )?(embeddings?|chat( completions?)?|completions?)|responses|moderations?|embed\w*|generat\w+)( (api|endpoint|route|operation|task|method)s?)?[`'\x22)]*( (for|with|on) this model)?\s*([.,;]|$)";
    [500, 501] NotOffered if Message r"\bcode = unimplemented\b|\b(endpoint|route|operation|method|api)\b.{0,40}\bnot implemented\b|^not implemented\.?\s*$";
    [500, 501] Unsupported if Message r"\bnot implemented\b|\bnotimplementederror\b";
    [400, 404, 422, 500, 501] Unsupported if Name "not_supported_error";
    [400, 404, 422] Unsupported if Message r"\bno (allowed |available )?(endpoints?|providers?)( are)?( found| available)*( that| which)?( can)? (support|match|handle)|\bno allowed providers are available|\ball providers have been ignored";
    [400, 404, 422, 500, 501] Unsupported if Message r"\b(does|do|can)( not|n.t) (currently |yet )?support\b[^.]{0,80}\b(tools?|functions?|function[ _-]?call(s|ing)?|images?|image[ _]urls?|vision|multi-?modal|audio|video|files?|pdfs?|documents?|json([ _](schema|object|mode))?|response[ _]formats?|structured[ _]outputs?|stream(ing)?|system|developer|log_?probs|reasoning(_effort)?|thinking|effort|temperature|top_p|stop|seed|prefill|embeddings?|chat|completions?|responses|caching|grammars?)\b";
    [400, 404, 422, 500, 501] Unsupported if Message r"\b(tools?|tool[ _-](use|choice|call(s|ing)?)|functions?|function[ _-]?call(s|ing)?|images?|image[ _](inputs?|urls?)|input_audio|vision|audio|video|files?|json([ _](schema|object|mode))?|response[ _]format|structured[ _]outputs?|stream(ing)?|system (message|prompt|role)s?|log_?probs|reasoning(_effort)?|thinking|prefill|embeddings?|parameter)\b[`'\x22)]*[^.]{0,60}\b(is|are) (not (currently |yet )?(supported|available|enabled)|unsupported|unavailable|only supported)\b";
    [400, 404, 422, 500, 501] Unsupported if Message r"is not a multi-?modal model|requires --enable-auto-tool-choice|(requires?|without) (the )?--jinja|at most 0 (image|audio|video)|unknown variant .?(image_url|input_audio|file|developer)|\bmmproj\b|response_format type is unavailable|not supported (with|by|for|in) this model";
    [400, 422] Unsupported if Message r"max_(completion_|output_|new_)?tokens\b.{0,40}too large|supports at most [\d,]+ (completion |output )?tokens";
    [404] NotOffered if Message r"^((file|page|path|route|resource|endpoint|url) )?not found\.?\s*$", Body "json";
    [404, 405] NotOffered if Message r"^method not allowed\.?\s*$", Body "json";
    [400, 404, 405, 501] NotOffered if Message r"\bunexpected endpoint or method\b|\bcannot (post|get) /|\bno route (matche[sd]|found|for)\b|\broute \S{1,120} (was |is )?not found\b|\brequested (url|resource|endpoint|path|route)( \S{1,120})? (was|is|could) not (be )?found\b|\bunknown (endpoint|route|path)\b";
    [400, 404, 422, 500, 501] NotOffered if Message r"\bnot a chat model\b|\bonly supported in v1/|unknown request url|invalid url \((get|post)";
    [400, 403, 404, 422] NotOffered if Message r"\bnot supported in (the )?v1/|\bdid you mean to use v1/|\bnot allowed to (generate|create) (embeddings|completions|responses|moderations)\b";

    [400, 403] ContentPolicy if Code "content_policy_violation";
    [400, 403] ContentPolicy if Code "content_filter";
    [400, 403] ContentPolicy if Code "moderation_blocked";
    [400, 403] ContentPolicy if Code "ResponsibleAIPolicyViolation";
    [400, 403] ContentPolicy if Finish "content_filter";

    [400, 401, 403, 404, 410, 422] ModelGone if Name "model_not_found";
    [400, 404, 422] ModelGone if Name "model_not_supported";
    [400, 401, 403] ModelGone if Name "key_model_access_denied";
    [400, 401, 403] ModelGone if Name "team_model_access_denied";
    [400, 404, 410] ModelGone if Code "model_decommissioned";
    [400, 404, 422] ModelGone if Param "model", Message r"\b(do(es)?|is|was) not (exist|found|available|allowed|supported|a valid model)|\b(invalid|unknown|unsupported) model\b|no such model|model not found";
    [400] ModelGone if Message r"^(\S+: ){0,4}(/\S+: )?invalid model name passed in model=|^(\S+: ){0,4}you passed in model=\S+ there is no 'model_name'|^(no models loaded|failed to load model|invalid model identifier)";
    [404] ModelGone if Message r"\bmodel[ :]+\S{1,120} (does not exist|was not found|not found|has been (decommissioned|deprecated|retired|removed)|is no longer (available|supported))|\bthe (requested )?model does not exist|\bunknown model\b|\binvalid model( id| name)?[ :]*(\.|$|\S{1,120}$)|not a valid model|no such model|model[_ ]not[_ ]found|model not exist";
    [404] ModelGone if Message r"\bmodels?\b|\bdeployment\b|no endpoints found", Body "json";
    // Without a code it may quote the caller's text: no failure counts, but another upstream may have the model.
    [400, 422] Unsupported if Message r"\b(unknown|no such) model\b|^(error: )?(invalid|unsupported) model\b|^model (is required to be|must be|should be) one of\b|^(error: )?(the )?(requested )?model\b.{0,160}\b(not found|not exist|not available|not (in|on) (the|our) list|not (currently )?(loaded|deployed|served|running|enabled|recogni[sz]ed)|unavailable|no longer (available|supported)|has been (deprecated|retired|removed|decommissioned))";

    [503, 529] Overloaded if Type "overloaded_error";
    [429, 503] Overloaded if Name "overloaded";
    [429, 503] Overloaded if Code "server_is_overloaded";
    [429, 503] Overloaded if Type "engine_overloaded_error";
    [503] Overloaded if Grpc "UNAVAILABLE";
    [503, 529] Overloaded if Message r"\boverloaded\b|\b(at|over|no) capacity\b|service (is )?(temporarily )?unavailable";
    [400] Overloaded if Message r"^(\S+: ){0,4}you passed in model=\S+ there are no healthy deployments";

    [429] RateLimited if Code "rate_limit_exceeded";
    [429] RateLimited if Code "slow_down";
    [429] RateLimited if Type "rate_limit_error";
    [429] RateLimited if Type "rate_limit_exceeded";
    [429] RateLimited if Metadata "rate_limit_exceeded";
    [429] RateLimited if Grpc "RESOURCE_EXHAUSTED";
    [429] RateLimited if Message r"\brate.?limit|too many requests";

    [403] InvalidKey if Type "permission_error";
    [400] Transient if Message r"^(the model has crashed|model unloaded|channel error|error in channel)";
    [404] Transient if Message r"^provider returned error\s*$";
    [408, 500, 502, 504] Transient if Type "server_error";
    [400] CallerFault if Type "invalid_request_error";
    [400] CallerFault if Grpc "INVALID_ARGUMENT";
}
