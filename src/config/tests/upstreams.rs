//! `docs/upstreams.md` is written from the tables of errors and the hosts that are known.

use super::super::hosts;
use crate::wire::classify::tests::guide;

const BEGINNING: &str = "\
# What upstreams say

What was learned of each provider, router and self-hosted server, where it is handled, and what it means: to look a text
up, and to know where the next one goes. This text is written from the tables of `src/wire/classify/tables`; a test holds
that it is fresh and names the command that writes it.

How an error is classified, the first step that knows wins:

1. An HTML page in a 4xx that no API sends (403, 404, 407 and the like) is `transient`: something stood before the API.
2. Two numbers: a request that is larger than the limit or the credit that the error names is `too_large_for_limit`;
   a limit that is used up is not (`src/wire/classify/size.rs`).
3. The table of the provider, then the common one. The provider is known by the host of its `base_url`, else by its name
   (`src/config/hosts.rs`).
4. A body in such a 4xx that is not JSON, or JSON that only quotes a page (\"404 page not found\"), is `transient`.
5. A status that means something special at this provider; the status as everywhere (`docs/architecture.md`).

A new text of one provider is a row of its table; what several say, or a server that one runs oneself, goes into the
common table. A row in a 400 or a 422 that blames a key or a model needs a code, a type, or words from the very
beginning of the message: the rest may quote the caller. An in-band error, inside of a 200 or a stream, takes the same
way, and what has no status contradicts no row.

*Words* are regular expressions that ignore case; everything else is compared as a whole.
";

fn text() -> String {
    format!("{BEGINNING}{}", guide::sections(hosts::known()))
}

#[test]
fn the_guide_to_upstreams_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/upstreams.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, text()).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text(),
        "docs/upstreams.md is out of date: WRITE_DOCS=1 cargo test --lib the_guide_to_upstreams_is_fresh"
    );
}
