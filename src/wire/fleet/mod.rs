//! What a fleet's processes write into the store that they share: names that only they can make ([`secret`]), and facts
//! as records that only they can write ([`record`]).

pub mod record;
pub mod secret;
