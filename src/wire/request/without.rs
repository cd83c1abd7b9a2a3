//! The same request without some of its fields.

use bytes::{BufMut, BytesMut};

use super::fields::RawName;
use super::{RequestDoc, put_json};

impl RequestDoc {
    /// How often the request has this top-level field.
    pub fn count(&self, name: &str) -> usize {
        let named = |field: &&_| self.is_named(field, name);
        self.fields.iter().filter(named).count()
    }

    /// The same request without the top-level fields of these names. What else is in it stays as it was written, but for white
    /// space between fields. `None` when nothing of it can be read any more.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Option<Self> {
        let mut out = BytesMut::with_capacity(self.body.len());
        let mut lead = b'{';
        for field in &self.fields {
            if names.iter().any(|name| self.is_named(field, name)) {
                continue;
            }
            out.put_u8(std::mem::replace(&mut lead, b','));
            match &field.name {
                RawName::Plain(place) => {
                    out.put_u8(b'"');
                    out.put_slice(self.slice(place.clone()));
                    out.put_u8(b'"');
                }
                RawName::Escaped(name) => put_json(&mut out, &serde_json::Value::from(&**name)),
            }
            out.put_u8(b':');
            out.put_slice(self.slice(field.value.clone()));
        }
        if lead == b'{' {
            out.put_u8(b'{');
        }
        out.put_u8(b'}');
        let mut new = Self::parse(out.freeze()).ok()?;
        if self.routed.is_some() {
            new.routed.clone_from(&self.routed);
            new.stream = self.stream;
        }
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn without(body: &str, names: &[&str]) -> String {
        let doc = RequestDoc::parse(Bytes::from(body.to_owned())).unwrap();
        let left = doc.without(names).unwrap();
        String::from_utf8(left.body().to_vec()).unwrap()
    }

    #[test]
    fn the_rest_stays_as_it_was_written() {
        let body = r#"{ "model" : "m", "provider": {"only":["a"]}, "x\u0041": 1.50 , "models":[],"models":null}"#;
        assert_eq!(
            without(body, &["provider", "models"]),
            r#"{"model":"m","xA":1.50}"#
        );
        assert_eq!(without(r#"{"provider":1}"#, &["provider"]), "{}");
        assert_eq!(
            without(r#"{"Provider":1}"#, &["provider"]),
            r#"{"Provider":1}"#
        );
        assert_eq!(
            without(r#"{"a":1,"pr\u006fvider":2}"#, &["provider"]),
            r#"{"a":1}"#
        );
    }

    #[test]
    fn what_the_route_says_stays() {
        let doc =
            RequestDoc::parse(Bytes::from_static(br#"{"models":["x"],"contents":[]}"#)).unwrap();
        let doc = doc.routed("m", true).unwrap().without(&["models"]).unwrap();
        assert_eq!(doc.model().as_deref(), Some("m"));
        assert!(doc.stream() && !doc.has("models"));
    }
}
