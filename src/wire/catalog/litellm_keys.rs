//! The grammar of LiteLLM's price keys (1.110.2): a base, perhaps `_above_1hr`, perhaps `_above_200k_tokens`, perhaps a
//! service tier.

use super::sheet::{PiecePrice, Rate};

const BASES: &[(&str, Rate)] = &[
    ("input_cost_per_token", Rate::Input),
    ("output_cost_per_token", Rate::Output),
    ("cache_read_input_token_cost", Rate::CachedInput),
    ("cache_creation_input_token_cost", Rate::CacheWrite),
    ("output_cost_per_reasoning_token", Rate::Reasoning),
    ("input_cost_per_audio_token", Rate::InputAudio),
    ("output_cost_per_audio_token", Rate::OutputAudio),
    ("cache_read_input_audio_token_cost", Rate::CachedInputAudio),
    // Written behind the one above by some entries.
    (
        "cache_read_input_token_cost_per_audio_token",
        Rate::CachedInputAudio,
    ),
    ("output_cost_per_image_token", Rate::ImageTokens),
];

const PIECES: &[(&str, PiecePrice)] = &[
    ("input_cost_per_request", PiecePrice::Request),
    ("output_cost_per_image", PiecePrice::Image),
    ("input_cost_per_second", PiecePrice::Second),
    ("input_cost_per_character", PiecePrice::Character),
    ("ocr_cost_per_page", PiecePrice::Page),
];

/// What a key sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    /// A rate per token.
    Rate {
        rate: Rate,
        /// Of prompts of more tokens than that.
        above: Option<u64>,
        /// Of a service tier, by the word that answers have for it.
        tier: Option<&'a str>,
    },
    /// A price per piece.
    PiecePrice(PiecePrice),
    /// A price that the normal form has no place for.
    Lost,
}

/// What a key sets; `None`: it is no price.
pub(super) fn parse(key: &str) -> Option<Key<'_>> {
    let piece = PIECES.iter().find(|(name, _)| *name == key);
    if let Some((_, piece)) = piece {
        return Some(Key::PiecePrice(*piece));
    }
    let bases = BASES
        .iter()
        .filter_map(|(base, rate)| Some((*rate, base.len(), key.strip_prefix(base)?)));
    let found = bases.max_by_key(|(_, len, _)| *len);
    let Some((rate, _, rest)) = found else {
        return key.contains("_cost").then_some(Key::Lost);
    };
    Some(suffixes(rate, rest).unwrap_or(Key::Lost))
}

fn suffixes(mut rate: Rate, mut rest: &str) -> Option<Key<'_>> {
    if let Some(behind) = rest.strip_prefix("_above_1hr") {
        rate = (rate == Rate::CacheWrite).then_some(Rate::CacheWrite1h)?;
        rest = behind;
    }
    let mut above = None;
    if let Some(behind) = rest.strip_prefix("_above_") {
        let (thousands, behind) = behind.split_once("k_tokens")?;
        let thousands: u64 = thousands.parse().ok()?;
        above = Some(thousands.checked_mul(1000)?);
        rest = behind;
    }
    let tier = match rest {
        "" => None,
        "_batches" => Some("batch"),
        _ => Some(rest.strip_prefix('_').filter(|tier| is_word(tier))?),
    };
    Some(Key::Rate { rate, above, tier })
}

fn is_word(tier: &str) -> bool {
    const TIERS: [&str; 5] = ["flex", "priority", "balanced", "ultrafast", "decisions"];
    TIERS.contains(&tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart() {
        let rate = |rate, above, tier| Some(Key::Rate { rate, above, tier });
        for (key, wanted) in [
            ("input_cost_per_token", rate(Rate::Input, None, None)),
            (
                "output_cost_per_token_above_200k_tokens",
                rate(Rate::Output, Some(200_000), None),
            ),
            (
                "input_cost_per_token_above_272k_tokens_priority",
                rate(Rate::Input, Some(272_000), Some("priority")),
            ),
            (
                "input_cost_per_token_flex",
                rate(Rate::Input, None, Some("flex")),
            ),
            (
                "input_cost_per_token_batches",
                rate(Rate::Input, None, Some("batch")),
            ),
            (
                "cache_creation_input_token_cost_above_1hr",
                rate(Rate::CacheWrite1h, None, None),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                rate(Rate::CacheWrite1h, Some(200_000), None),
            ),
            (
                "cache_read_input_audio_token_cost",
                rate(Rate::CachedInputAudio, None, None),
            ),
            (
                "output_cost_per_image_token",
                rate(Rate::ImageTokens, None, None),
            ),
            (
                "output_cost_per_image",
                Some(Key::PiecePrice(PiecePrice::Image)),
            ),
            ("input_cost_per_token_above_12hr", Some(Key::Lost)),
            ("input_cost_per_token_cache_hit", Some(Key::Lost)),
            ("input_cost_per_pixel", Some(Key::Lost)),
            ("max_input_tokens", None),
            ("mode", None),
        ] {
            assert_eq!(parse(key), wanted, "{key}");
        }
    }
}
