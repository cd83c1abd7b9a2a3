//! Names of tools that other dialects do not take. Google lets them have dots and colons and 128 characters; OpenAI and
//! Anthropic take letters, digits, `_` and `-`, and 64 of them.

use std::collections::BTreeMap;

/// The longest name that every other dialect takes, in bytes.
const LONGEST: usize = 64;

/// The names of one request's tools, each with the name that goes to the upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct GeminiToolNames {
    sent: BTreeMap<String, String>,
    meant: BTreeMap<String, String>,
}

impl GeminiToolNames {
    /// Of these tools, which have different names.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut all = Self::default();
        // Those that stay as they are have their names first.
        for name in names.clone().filter(|name| fits(name)) {
            all.meant.insert(name.to_owned(), name.to_owned());
        }
        for name in names.filter(|name| !fits(name)) {
            if all.sent.contains_key(name) {
                continue;
            }
            let plain = plain(name);
            let mut sent = plain.clone();
            let mut number = 2_u32;
            while all.meant.contains_key(&sent) {
                let end = format!("_{number}");
                let kept = plain.get(..plain.len().min(LONGEST - end.len()));
                sent = format!("{}{end}", kept.unwrap_or_default());
                number += 1;
            }
            all.meant.insert(sent.clone(), name.to_owned());
            all.sent.insert(name.to_owned(), sent);
        }
        all
    }

    /// As it goes to the upstream.
    pub(super) fn sent(&self, name: String) -> String {
        match self.sent.get(&name) {
            Some(sent) => sent.clone(),
            // Of a tool that is not declared any more.
            None if !fits(&name) => plain(&name),
            None => name,
        }
    }

    /// As the caller knows it.
    pub(super) fn meant(&self, name: String) -> String {
        self.meant.get(&name).cloned().unwrap_or(name)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && name.bytes().all(is_plain)
}

fn plain(name: &str) -> String {
    let kept = name.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() || letter == '-' => letter,
        _ => '_',
    });
    let text: String = kept.take(LONGEST).collect();
    if text.is_empty() {
        "_".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_and_stay_distinct() {
        let long = "a".repeat(100);
        let names = ["fs.read", "fs_read", "fs:read", "ok", &long, "é"];
        let map = GeminiToolNames::of(names.into_iter());
        let sent: Vec<String> = names
            .iter()
            .map(|name| map.sent((*name).to_owned()))
            .collect();
        assert_eq!(&sent[..4], ["fs_read_2", "fs_read", "fs_read_3", "ok"]);
        for (name, sent) in names.iter().zip(&sent) {
            assert!(fits(sent), "{sent}");
            assert_eq!(map.meant(sent.clone()), *name);
        }
    }
}
