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
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    // One slip in a short name, two in a common one, up to a third of a long one.
    let tolerance = (wanted.len() / 3).clamp(1, 6);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|candidate| !candidate.is_empty() && candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let other: Vec<char> = candidate.to_lowercase().chars().collect();
            let shorter = wanted.len().min(other.len());
            if shorter >= 3 && (other.starts_with(&wanted) || wanted.starts_with(&other)) {
                return Some((0, candidate));
            }
            if wanted.len().abs_diff(other.len()) > tolerance {
                return None;
            }
            let distance = distance(&wanted, &other);
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

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && *y == a[i - 1] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
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

        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in "[a-c]{0,8}", b in "[a-c]{0,8}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&x, &y), distance(&y, &x));
            prop_assert_eq!(distance(&x, &y) == 0, a == b);
        }
    }
}
