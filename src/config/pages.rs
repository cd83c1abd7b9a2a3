//! What is typed about pages in browsers: the names by which they may call, and whose pages may.

use super::read::Report;
use super::values::Names;
use crate::wire::origin::Origins;

/// Which pages in browsers may call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pages {
    /// Names of this process, in addition to addresses and `localhost`; `*.` in front stands for all subdomains.
    pub hosts: Vec<String>,
    /// Other origins whose pages may call.
    pub origins: Origins,
}

/// Validates the section. `open`: no client needs a token.
pub(super) fn resolve(
    hosts: Option<Names>,
    origins: Option<Names>,
    open: bool,
    report: &mut Report,
) -> Pages {
    let mut pages = Pages::default();
    for host in hosts.map(|Names(all)| all).unwrap_or_default() {
        let bare = host.strip_prefix("*.").unwrap_or(&host);
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if bare.is_empty() || !bare.bytes().all(named) {
            let message = format!("`{host}` is no name of a host");
            let path = "server.allowed_hosts";
            report.problem(
                path,
                message,
                "write it without scheme and port, such as gateway.example",
            );
            continue;
        }
        pages.hosts.push(host.trim_end_matches('.').to_owned());
    }
    for origin in origins.map(|Names(all)| all).unwrap_or_default() {
        if !pages.origins.add(origin.trim()) {
            let message = format!("`{origin}` is no origin");
            let path = "server.allowed_origins";
            report.problem(
                path,
                message,
                "write scheme and host, such as https://app.example, or *",
            );
        }
    }
    if open && pages.origins.any {
        let text = "every page that a browser on this machine opens may call, and spend your keys";
        report.warn("server.allowed_origins", text);
    }
    pages
}
