//! Laws of lists of models: whatever a server says, what is believed of it is in range and names a model, the notes about
//! it stay few, and what was told of a list does not depend on when it is read.
//!
//! The input is a line with a format (`litellm`, `auto`) or a provider's kind (`groq`), and the list.

use pointsman::wire::catalog::{CatalogFormat, Page, detail_calls, read, read_own};

use super::line;

/// Warnings and names of lost keys that are kept of one page.
const MOST_NOTES: usize = 500;

pub fn hold(data: &[u8]) {
    let (kind, text) = line(data);
    let (kind, text) = (String::from_utf8_lossy(kind), String::from_utf8_lossy(text));
    let format = CatalogFormat::named(&kind);
    if format.is_some() || kind == "auto" {
        let found = read(&text, format);
        assert_eq!(found, read(&text, format));
        let Ok((page, known)) = found else { return };
        // What is recognised by its shape is taken under its name, too.
        assert_eq!(read(&text, Some(known)).map(|it| it.0).as_ref(), Ok(&page));
        assert!(!page.entries.is_empty() || !page.groups.is_empty());
        in_range(&page, &text);
    }
    if let Ok(page) = read_own(&text, &kind) {
        assert!(!page.entries.is_empty());
        assert!(page.entries.iter().all(|entry| entry.provider.is_none()));
        in_range(&page, &text);
        for call in detail_calls(&kind, &page.entries) {
            assert!(call.path.starts_with('/'), "{call:?}");
        }
    }
}

fn in_range(page: &Page, text: &str) {
    for entry in &page.entries {
        assert!(!entry.id.trim().is_empty(), "{entry:?}");
        assert!(entry.id.len() <= text.len());
        for tokens in [entry.window, entry.effective_window, entry.max_output] {
            assert_ne!(tokens, Some(0), "{entry:?}");
        }
    }
    let notes = &page.notes;
    assert!(notes.warnings.len() <= MOST_NOTES && notes.lost.len() <= MOST_NOTES);
    for warning in &notes.warnings {
        // Each is a line of the log.
        assert!(!warning.contains('\n'), "{warning:?}");
    }
}
