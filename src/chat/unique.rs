//! The rule that an object's keys are unique: JSON leaves open what a repeated key means, and services refuse it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON object whose keys, at every depth, are unique. Only the check is kept.
pub(super) struct Object;

/// Parses any JSON value under the same rule.
///
/// # Errors
/// It is not one JSON value, or a key is repeated.
pub fn parse(text: &str) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str::<Any>(text)?;
    serde_json::from_str(text)
}

/// Any JSON value under the same rule.
struct Any;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Check { only_object: true }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Check { only_object: false }).map(|()| Self)
    }
}

struct Check {
    only_object: bool,
}

impl Check {
    fn scalar<E: serde::de::Error>(&self, found: serde::de::Unexpected<'_>) -> Result<(), E> {
        if self.only_object { Err(E::invalid_type(found, self)) } else { Ok(()) }
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Signed(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Unsigned(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Str(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar(serde::de::Unexpected::Unit)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.scalar(serde::de::Unexpected::Seq)?;
        while items.next_element::<Any>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value::<Any>()?;
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format!("key `{key}` appears twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn only_one_object_with_unique_keys_will_do() {
        for (text, ok) in [
            (r#"{"a":1,"b":[{"c":null},true,-1,1.5,"x"]}"#, true),
            ("{}", true),
            (r#"{"a":1,"a":2}"#, false),
            (r#"{"a":{"b":1,"b":1}}"#, false),
            ("{}{}", false),
            ("[]", false),
            ("null", false),
            ("\"x\"", false),
        ] {
            assert_eq!(serde_json::from_str::<Object>(text).is_ok(), ok, "{text}");
        }
        assert!(serde_json::from_str::<Object>(&format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200))).is_err());
    }
}
