//! What a caller says of kept answers: `cache-control` in a request (RFC 9111, section 5.2.1), and `x-pointsman-cache`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

/// Our own word.
pub const CACHE: HeaderName = HeaderName::from_static("x-pointsman-cache");

/// What one request says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheWords {
    /// Nothing is to be kept of it, and nothing that was kept serves it (`no-store`, or `x-pointsman-cache: off`).
    pub no_store: bool,
    /// An upstream is to be asked, whatever was kept; its answer takes the place of that.
    pub no_cache: bool,
    /// No upstream is to be asked.
    pub only_if_cached: bool,
    /// The answer may be so old.
    pub max_age: Option<Duration>,
    /// And has to hold for so long from now.
    pub min_fresh: Option<Duration>,
    /// It is to be kept although another answer could be as good (`x-pointsman-cache: force`).
    pub force: bool,
}

/// A word that means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the header {CACHE} says neither force nor off")]
pub struct UnknownCacheWord;

impl CacheWords {
    /// Reads the headers of a request. What is unknown in `cache-control` means nothing.
    ///
    /// # Errors
    /// Another word of our own.
    pub fn read(headers: &HeaderMap) -> Result<Self, UnknownCacheWord> {
        let mut words = Self::default();
        let lists = headers.get_all(header::CACHE_CONTROL).iter();
        for list in lists.filter_map(|list| list.to_str().ok()) {
            for word in list.split(',') {
                words.add(word.trim());
            }
        }
        if let Some(own) = headers.get(CACHE) {
            match own.to_str().map(|word| word.trim().to_ascii_lowercase()) {
                Ok(word) if word == "force" => words.force = true,
                Ok(word) if word == "off" => words.no_store = true,
                _ => return Err(UnknownCacheWord),
            }
        }
        Ok(words)
    }

    fn add(&mut self, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let seconds = value.trim().trim_matches('"').parse().ok();
        let seconds = seconds.map(Duration::from_secs);
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "only-if-cached" => self.only_if_cached = true,
            // A number that cannot be read is as good as 0 (section 4.2.1).
            "max-age" => self.max_age = Some(seconds.unwrap_or_default()),
            "min-fresh" => self.min_fresh = seconds,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<CacheWords, UnknownCacheWord> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().unwrap());
        }
        CacheWords::read(&all)
    }

    #[test]
    fn words_are_read_wherever_they_stand() {
        let read = |text: &str| read(&[("cache-control", text)]).unwrap();
        let words = read(r#"No-Store, MAX-AGE="60", min-fresh = 5, x=y"#);
        assert!(words.no_store && !words.no_cache);
        assert_eq!(words.max_age, Some(Duration::from_secs(60)));
        assert_eq!(words.min_fresh, Some(Duration::from_secs(5)));
        assert!(read("no-cache").no_cache && read("only-if-cached").only_if_cached);
        assert_eq!(read("max-age=soon").max_age, Some(Duration::ZERO));
        assert_eq!(read(""), CacheWords::default());
    }

    #[test]
    fn our_own_word_is_force_or_off() {
        assert!(read(&[("x-pointsman-cache", "Force")]).unwrap().force);
        assert!(read(&[("x-pointsman-cache", "off")]).unwrap().no_store);
        assert_eq!(read(&[("x-pointsman-cache", "hit")]), Err(UnknownCacheWord));
    }
}
