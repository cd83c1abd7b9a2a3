//! Errors of self-hosted servers, and of routers.
//!
//! Their names and addresses usually reveal nothing: errors that any of them may send are in the common table. This
//! table has those that would mean something else elsewhere, and those that are worth a row under the server's name.

use super::table::{ErrorTable, table};

table! { OLLAMA
    [429] QuotaExhausted if Message "usage limit";
    [] ContextOverflow if Message "prompt too long; exceeded max context length";
    [404] ModelGone if Message "model .* not found, try pulling it first";
    [503] Overloaded if Message "server busy|maximum pending requests";
}

table! { LMSTUDIO
    [400] ContextOverflow if Message "greater than the context length|context (the )?overflows|context length of only";
    [400] ModelGone if Message "^(no models loaded|failed to load model)";
}

table! { VLLM
    [401] InvalidKey if Message "unauthorized";
    [400] ContextOverflow if Message r"maximum context length is \d+ tokens|maximum model length (is|of) \d+|longer than the maximum model length|max_model_len";
    [404] ModelGone if Type "NotFoundError";
}

table! { LLAMACPP
    [401] InvalidKey if Type "authentication_error";
    [400] ContextOverflow if Type "exceed_context_size_error";
    [503] Overloaded if Type "unavailable_error", Message "loading model";
    [400] CallerFault if Message "json_schema|grammar";
}

table! { SGLANG
    [400] ContextOverflow if Message r"requested token count exceeds the model.s maximum context length|is longer than the model.s context length|exceeds the maximum allowed length";
    [503] Overloaded if Message "request queue is full";
}

table! { TGI
    [413, 422] ContextOverflow if Type "validation", Message r"`inputs` must have less than|`inputs` tokens \+ `max_new_tokens` must be";
    [429] Overloaded if Type "overloaded";
    [424] Transient if Type "generation";
    [500] Transient if Type "incomplete_generation";
    [422] CallerFault if Type "validation";
}

table! { LITELLM
    [400, 401, 403, 429] QuotaExhausted if Type "budget_exceeded";
    [400, 413, 429] ContextOverflow if Message "ContextWindowExceededError";
    [401, 403] ModelGone if Type "key_model_access_denied";
    [401, 403] ModelGone if Type "team_model_access_denied";
    [400] ModelGone if Message r"^(\S+: ){0,4}(/\S+: )?invalid model name passed in model=";
    [400] Overloaded if Message "there are no healthy deployments for this model";
    [429] Overloaded if Message "no deployments available for selected model";
}
