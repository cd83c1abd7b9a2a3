//! Where a process runs: read here and nowhere else, and handed on.

use crate::config::LoadRequest;

/// The process's working directory and environment.
pub(crate) fn surroundings() -> LoadRequest {
    // Variables that are not Unicode cannot be named by a configuration either.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    LoadRequest {
        working_dir: std::env::current_dir().unwrap_or_default(),
        env,
        ..LoadRequest::default()
    }
}
