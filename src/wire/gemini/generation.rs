//! What a model's name tells about how it is asked to think.

use super::names::bare_model;

/// How a model takes its measure of thinking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ThinkingForm {
    /// `thinkingBudget` in tokens, between these two; whether 0 turns it off.
    Budget {
        /// The fewest that it takes, if it thinks.
        least: u64,
        /// The most.
        most: u64,
        /// Whether it can be told not to think.
        can_be_off: bool,
    },
    /// `thinkingLevel`.
    Level {
        /// Whether it has `MINIMAL`.
        minimal: bool,
    },
    /// It does not think, and refuses to be asked.
    Never,
}

/// The number behind `gemini-`, as far as there is one.
fn version(model: &str) -> Option<(u32, u32)> {
    let model = bare_model(model);
    let rest = model.get(model.find("gemini-")? + "gemini-".len()..)?;
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().unwrap_or(0)))
}

/// How this model is asked to think. A name that says nothing is taken for one of the newest.
///
/// Levels and budgets: <https://ai.google.dev/gemini-api/docs/thinking>.
pub(super) fn thinking_form(model: &str) -> ThinkingForm {
    let is_pro = model.contains("pro");
    let is_gemma = model.contains("gemma");
    match version(model) {
        _ if is_gemma => ThinkingForm::Never,
        Some((3.., _)) | None => ThinkingForm::Level { minimal: !is_pro },
        Some((2, 5..)) if is_pro => ThinkingForm::Budget {
            least: 128,
            most: 32_768,
            can_be_off: false,
        },
        Some((2, 5..)) => ThinkingForm::Budget {
            least: if model.contains("lite") { 512 } else { 1 },
            most: 24_576,
            can_be_off: true,
        },
        Some(_) => ThinkingForm::Never,
    }
}

/// Which parts of the model's own turns it refuses without a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SignedParts {
    /// None.
    None,
    /// The first call of each step.
    Calls,
    /// These, and pictures with what stands first beside them.
    CallsAndPictures,
}

/// What this model wants to see signed.
///
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
pub(super) fn signed_parts(model: &str) -> SignedParts {
    match version(model) {
        Some((3.., _)) if bare_model(model).contains("image") => SignedParts::CallsAndPictures,
        Some((3.., _)) => SignedParts::Calls,
        _ => SignedParts::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_form_of_thinking() {
        for (model, form) in [
            ("gemini-3.5-flash", ThinkingForm::Level { minimal: true }),
            (
                "models/gemini-3-pro-preview",
                ThinkingForm::Level { minimal: false },
            ),
            (
                "gemini-3.1-pro-preview",
                ThinkingForm::Level { minimal: false },
            ),
            ("gemini-4", ThinkingForm::Level { minimal: true }),
            ("test-model", ThinkingForm::Level { minimal: true }),
            ("gemini-flash-latest", ThinkingForm::Level { minimal: true }),
            ("gemini-2.0-flash", ThinkingForm::Never),
            ("gemini-1.5-pro", ThinkingForm::Never),
            ("gemma-3-27b-it", ThinkingForm::Never),
            (
                "gemini-2.5-pro",
                ThinkingForm::Budget {
                    least: 128,
                    most: 32_768,
                    can_be_off: false,
                },
            ),
            (
                "gemini-2.5-flash",
                ThinkingForm::Budget {
                    least: 1,
                    most: 24_576,
                    can_be_off: true,
                },
            ),
            (
                "gemini-2.5-flash-lite",
                ThinkingForm::Budget {
                    least: 512,
                    most: 24_576,
                    can_be_off: true,
                },
            ),
        ] {
            assert_eq!(thinking_form(model), form, "{model}");
        }
        for (model, signed) in [
            ("gemini-3.5-flash", SignedParts::Calls),
            ("gemini-2.5-pro", SignedParts::None),
            ("gemini-2.5-flash-image", SignedParts::None),
            (
                "models/gemini-3-pro-image-preview",
                SignedParts::CallsAndPictures,
            ),
            ("test-model", SignedParts::None),
        ] {
            assert_eq!(signed_parts(model), signed, "{model}");
        }
    }
}
