//! Laws of the facts in a fleet's store: whatever is read there is a record or refused; what was read is written as it was, and
//! believed for no longer than such facts are. The input is what comes before the signature.

use std::time::Duration;

use pointsman::domain::fleet::admit;
use pointsman::domain::secret::EncryptionKey;
use pointsman::domain::time::Time;
use pointsman::wire::fleet::record::FleetRecord;
use pointsman::wire::fleet::secret::FleetSecret;

pub fn hold(data: &[u8]) {
    let secret = FleetSecret::new(&EncryptionKey::new(&[7; 32]).unwrap());
    assert!(FleetRecord::decode(data, &secret).is_err());
    let mut bytes = data.to_vec();
    bytes.extend_from_slice(&secret.sign(data));
    let Ok(record) = FleetRecord::decode(&bytes, &secret) else {
        return;
    };
    assert_eq!(record.encode(&secret), bytes);
    let now = Time::from_millis(1000);
    for age in [Duration::ZERO, Duration::from_secs(60), Duration::MAX] {
        let fact = record.fact(age, now);
        assert!(fact.until <= now + admit::longest(record.subject.kind));
        assert!(fact.keep < Time::NEVER);
    }
}
