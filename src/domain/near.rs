//! Which known names someone may have meant: prefixes first, then small edit distances.
//! No I/O, no clock, no logging.

/// Longer names are not compared: the cost grows with the square of the length, and callers choose it.
const LONGEST: usize = 128;

/// At most three of `known` that resemble `name`, best first. Letter case does not count.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 3;
    if name.is_empty() || name.len() > LONGEST {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    // One slip in a short name, two in a common one, up to a third of a long one.
    let tolerance = (length / 3).clamp(1, 6);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|candidate| !candidate.is_empty() && candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let others = other.chars().count();
            let shorter = length.min(others);
            if shorter >= 3 && (other.starts_with(&wanted) || wanted.starts_with(&other)) {
                return Some((0, candidate));
            }
            if length.abs_diff(others) > tolerance {
                return None;
            }
            // Insertions, deletions, substitutions and swaps of neighbours.
            let distance = strsim::osa_distance(&wanted, &other);
            (distance <= tolerance).then_some((distance + 1, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .take(MOST)
        .map(|(_, candidate)| candidate.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_a_stranger_finds_nothing() {
        let known = ["groq", "cerebras", "openrouter", "groq:llama-3.3-70b"];
        assert_eq!(near("gorq", known), ["groq"]);
        assert_eq!(near("Cerebra", known), ["cerebras"]);
        assert_eq!(near("groq:llama", known), ["groq", "groq:llama-3.3-70b"]);
        assert!(near("something-else", known).is_empty());
        assert!(near("", known).is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_three_and_never_a_panic(name in "\\PC{0,200}", known in prop::collection::vec("\\PC{0,40}", 0..20)) {
            prop_assert!(near(&name, known.iter().map(String::as_str)).len() <= 3);
        }
    }
}
