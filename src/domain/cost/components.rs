//! What an answer used, split so that every token is in one part.

use crate::domain::usage::Usage;

/// The parts of what an answer used. Those of the prompt add up to the prompt, those of the answer to the answer, whatever
/// an upstream reports: what is more than its whole is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Components {
    /// Text of the prompt that neither came from a cache nor went to one.
    pub input: u64,
    /// Read from a cache, without sound.
    pub cached: u64,
    /// Written to a cache for minutes.
    pub write: u64,
    /// Written for an hour.
    pub write_1h: u64,
    /// Sound in the prompt that did not come from a cache.
    pub input_audio: u64,
    /// Sound that did.
    pub cached_audio: u64,
    /// Text of the answer.
    pub output: u64,
    /// Reasoning.
    pub reasoning: u64,
    /// Sound in the answer.
    pub output_audio: u64,
    /// Pictures in the answer.
    pub output_images: u64,
    /// Searches on the web.
    pub searches: u64,
    /// Seconds of sound.
    pub seconds: u64,
    /// Pictures that were made.
    pub images: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Characters that were spoken.
    pub characters: u64,
}

impl Components {
    /// The parts of this usage. A missing count is 0.
    pub fn of(usage: &Usage) -> Self {
        let details = &usage.details;
        let mut prompt = usage.prompt_tokens.unwrap_or(0);
        let mut of_prompt = |count: u64| take(&mut prompt, count);
        let read = of_prompt(usage.cached_tokens.unwrap_or(0));
        let written = u64::from(details.cache_write.max(details.cache_write_1h));
        let written = of_prompt(written);
        let write_1h = u64::from(details.cache_write_1h).min(written);
        let cached_audio = u64::from(details.cached_audio).min(read);
        let sound = u64::from(details.input_audio).saturating_sub(cached_audio);
        let input_audio = of_prompt(sound);
        let mut answer = usage.completion_tokens.unwrap_or(0);
        let mut of_answer = |count: u64| take(&mut answer, count);
        let reasoning = of_answer(usage.reasoning_tokens.unwrap_or(0));
        let output_audio = of_answer(u64::from(details.output_audio));
        let output_images = of_answer(u64::from(details.output_images));
        Self {
            input: prompt,
            cached: read - cached_audio,
            write: written - write_1h,
            write_1h,
            input_audio,
            cached_audio,
            output: answer,
            reasoning,
            output_audio,
            output_images,
            searches: u64::from(details.searches),
            seconds: u64::from(details.seconds),
            images: u64::from(details.images),
            pages: u64::from(details.pages),
            characters: u64::from(details.characters),
        }
    }

    /// The whole prompt, by which the rates of long ones are chosen.
    pub fn prompt(&self) -> u64 {
        // Parts of one count.
        self.input + self.cached + self.write + self.write_1h + self.input_audio + self.cached_audio
    }
}

/// As much of `count` as is left.
fn take(left: &mut u64, count: u64) -> u64 {
    let taken = count.min(*left);
    *left -= taken;
    taken
}
