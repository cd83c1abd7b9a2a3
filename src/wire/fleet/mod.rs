//! What a fleet's processes write into the store that they share: names that only they can make ([`secret`]), and facts
//! as records that only they can write ([`record`]). [`script`] names the scripts that change it.

pub mod record;
pub mod script;
pub mod secret;
