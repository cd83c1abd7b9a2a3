//! Errors of servers one runs oneself.

use super::table::{Table, table};

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
