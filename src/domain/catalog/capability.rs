//! What a model can do, as far as that is known.

/// One thing that a model can or cannot do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Takes pictures.
    Images,
    /// Takes sound.
    Audio,
    /// Answers by a JSON schema.
    JsonSchema,
    /// Reasons before it answers.
    Reasoning,
}

impl Capability {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Tools,
        Self::Images,
        Self::Audio,
        Self::JsonSchema,
        Self::Reasoning,
    ];

    /// Its name in the configuration and in lists of models.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::JsonSchema => "json_schema",
            Self::Reasoning => "reasoning",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Tools => 0,
            Self::Images => 1,
            Self::Audio => 2,
            Self::JsonSchema => 3,
            Self::Reasoning => 4,
        }
    }
}

/// A value for each capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PerCapability<T>([T; 5]);

impl<T> PerCapability<T> {
    /// The value for one.
    pub fn get(&self, capability: Capability) -> &T {
        let [tools, images, audio, json_schema, reasoning] = &self.0;
        match capability {
            Capability::Tools => tools,
            Capability::Images => images,
            Capability::Audio => audio,
            Capability::JsonSchema => json_schema,
            Capability::Reasoning => reasoning,
        }
    }

    /// Sets the value for one.
    pub fn set(&mut self, capability: Capability, value: T) {
        if let Some(slot) = self.0.get_mut(capability.place()) {
            *slot = value;
        }
    }
}

/// What one list says: yes, no, or nothing.
pub type Capabilities = PerCapability<Option<bool>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_has_its_own_place() {
        for set in Capability::ALL {
            let mut all = Capabilities::default();
            all.set(set, Some(true));
            for other in Capability::ALL {
                let wanted = (set == other).then_some(true);
                assert_eq!(*all.get(other), wanted, "{} {}", set.name(), other.name());
            }
        }
    }
}
