//! Where a caller's own path leads at a provider. Programs are given a base URL with or without the version that the
//! provider's API root ends with, and put their paths behind it.

/// The URL for a path with its query, which begins with `/`, at the provider with this API root. What the root ends with is
/// not written twice, however much of it the path repeats; Google's uploads have `/upload` in front of the root's path.
pub(super) fn passed_url(root: &str, path: &str) -> String {
    let host_end = root.find("://").map_or(0, |at| at + 3);
    let host_end = root
        .get(host_end..)
        .and_then(|rest| rest.find('/'))
        .map_or(root.len(), |at| host_end + at);
    let (host, base) = root.split_at(host_end);
    let base = base.trim_end_matches('/');
    let upload = path
        .strip_prefix("/upload")
        .filter(|rest| rest.starts_with('/'));
    if !base.is_empty() && upload.is_some_and(|rest| follows(rest, base)) {
        return format!("{host}{path}");
    }
    // The longest repetition first: the whole base, then what follows its first segment, and so on.
    let mut repeated = base;
    while !repeated.is_empty() {
        if follows(path, repeated) {
            let rest = path.get(repeated.len()..).unwrap_or_default();
            return format!("{host}{base}{rest}");
        }
        let next = repeated.get(1..).and_then(|rest| rest.find('/'));
        repeated = next.and_then(|at| repeated.get(at + 1..)).unwrap_or("");
    }
    format!("{host}{base}{path}")
}

/// Whether a path begins with these segments.
fn follows(path: &str, segments: &str) -> bool {
    path.strip_prefix(segments)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_not_written_twice() {
        for (root, path, url) in [
            (
                "https://a.example/v1",
                "/files",
                "https://a.example/v1/files",
            ),
            (
                "https://a.example/v1",
                "/v1/files?limit=2",
                "https://a.example/v1/files?limit=2",
            ),
            (
                "https://a.example/v1",
                "/v1beta/files",
                "https://a.example/v1/v1beta/files",
            ),
            (
                "https://a.example",
                "/v1/files",
                "https://a.example/v1/files",
            ),
            (
                "https://a.example/openai/v1",
                "/v1/files",
                "https://a.example/openai/v1/files",
            ),
            (
                "https://a.example/openai/v1",
                "/openai/v1/files",
                "https://a.example/openai/v1/files",
            ),
            (
                "https://a.example/openai/v1/",
                "/files/v1",
                "https://a.example/openai/v1/files/v1",
            ),
            (
                "https://g.example/v1beta",
                "/upload/v1beta/files",
                "https://g.example/upload/v1beta/files",
            ),
            (
                "https://g.example/v1beta",
                "/uploads",
                "https://g.example/v1beta/uploads",
            ),
            ("http://127.0.0.1:1/v1", "/v1", "http://127.0.0.1:1/v1"),
        ] {
            assert_eq!(passed_url(root, path), url, "{root} {path}");
        }
    }
}
