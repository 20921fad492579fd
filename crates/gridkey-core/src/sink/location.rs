//! Single places: settings with every placeholder filled in, and what tells one from another.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::settings::{SinkKind, SinkSettings};
use crate::key::KeyId;
use crate::name::Name;

/// One place that holds one secret: a sink's settings with every placeholder filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkLocation {
    /// The sink's name in the manifest.
    pub sink: Name,
    /// Where in it.
    #[schemars(with = "SinkSettings")]
    pub at: SharedSettings,
}

/// The settings of a location, shared by all that speak of it, with what they reach worked out once: a plan asks for it
/// a dozen times for each key.
#[derive(Clone)]
pub struct SharedSettings(Arc<(SinkSettings, LocationId)>);

/// What tells one location from another, whatever the sink is called: kind, place and field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LocationId(Arc<str>);

impl LocationId {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a service calls the version of a value that gridkey wrote, in the service's own words. It never tells anything of
/// the secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Receipt(String);

impl Receipt {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What state knows of a location: the key that gridkey wrote there last, and the receipt that it got for it.
///
/// Where the service still shows that version, the location still holds that key, and nobody has to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub id: KeyId,
    pub receipt: Receipt,
}

impl SharedSettings {
    pub fn new(settings: SinkSettings) -> Self {
        let id = LocationId::new(settings.reached());
        Self(Arc::new((settings, id)))
    }

    /// The settings alone, to be changed.
    pub fn to_settings(&self) -> SinkSettings {
        SinkSettings::clone(self)
    }
}

impl Deref for SharedSettings {
    type Target = SinkSettings;

    fn deref(&self) -> &SinkSettings {
        &self.0.0
    }
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SinkSettings::fmt(self, f)
    }
}

impl PartialEq for SharedSettings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for SharedSettings {}

impl PartialOrd for SharedSettings {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedSettings {
    fn cmp(&self, other: &Self) -> Ordering {
        match Arc::ptr_eq(&self.0, &other.0) {
            true => Ordering::Equal,
            false => SinkSettings::cmp(self, other),
        }
    }
}

impl Serialize for SharedSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SinkSettings::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SinkSettings::deserialize(deserializer).map(Self::new)
    }
}

impl SinkLocation {
    pub fn new(sink: Name, at: SinkSettings) -> Self {
        Self { sink, at: SharedSettings::new(at) }
    }

    /// Two locations with the same id are the same place: writing one overwrites the other.
    ///
    /// It goes by what the settings reach and not by how they are spelt. Links are not followed here: the binary, which has
    /// a file system, replaces paths by what they lead to first ([`SinkSettings::path_mut`]).
    pub fn id(&self) -> LocationId {
        self.at.0.1.clone()
    }
}

/// Of places that are taken, the one that a location lies in or that lies in it: in a structured file a secret cannot
/// stand where there are further values.
pub(crate) fn nested_in<'t, T>(
    taken: &'t BTreeMap<LocationId, T>,
    location: &SinkLocation,
) -> Option<(&'t LocationId, &'t T)> {
    let pointer = location.at.pointer()?;
    let id = location.id();
    let before = id.as_str().len() - pointer.len();
    let outer = pointer
        .match_indices('/')
        .skip(1)
        .find_map(|(end, _)| taken.get_key_value(&LocationId::new(&id.as_str()[..before + end])));
    outer.or_else(|| {
        let inner = LocationId::new(format!("{id}/"));
        taken.range(&inner..).next().filter(|(other, _)| other.as_str().starts_with(inner.as_str()))
    })
}

impl fmt::Display for SinkLocation {
    /// The place as a person would point at it, after the sink's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A program may be called as a file is.
        let runs = if self.at.kind() == SinkKind::Command { "runs " } else { "" };
        write!(f, "{} ({runs}{})", self.sink, self.at.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> SinkLocation {
        let at = serde_json::from_str(text).expect(text);
        SinkLocation::new(Name::new("any").expect("a name"), at)
    }

    fn in_file(kind: &str, path: &str, pointer: &str) -> SinkLocation {
        location(&format!(r#"{{"{kind}": {{"path": "{path}", "pointer": "{pointer}"}}}}"#))
    }

    #[test]
    fn a_value_within_another_is_found_in_either_order() {
        let is_nested = |one: &SinkLocation, other: &SinkLocation| {
            nested_in(&BTreeMap::from([(one.id(), ())]), other).is_some()
        };
        for (one, other) in [
            (in_file("json", "a.json", "/m"), in_file("json", "a.json", "/m/b")),
            (in_file("yaml", "./a.json", "/m/b"), in_file("json", "a.json", "/m/b/c/d")),
            (in_file("sops", "a.yaml", "/m"), in_file("yaml", "a.yaml", "/m/0")),
            (in_file("json", "x#/m.json", "/m"), in_file("json", "x#/m.json", "/m/b")),
            (in_file("json", "a.json", "/m#"), in_file("json", "a.json", "/m#/b")),
            (in_file("json", "a.json", "/m"), in_file("json", "a.json", "/m/")),
        ] {
            assert!(is_nested(&one, &other) && is_nested(&other, &one), "{one} {other}");
        }
        for (one, other) in [
            (in_file("json", "a.json", "/m"), in_file("json", "a.json", "/m")),
            (in_file("json", "a.json", "/m"), in_file("json", "a.json", "/mail/b")),
            (in_file("json", "a.json", "/m/a"), in_file("json", "a.json", "/m/b")),
            (in_file("json", "a.json", "/m"), in_file("json", "b.json", "/m/b")),
            (in_file("json", "a.json", "/m"), in_file("json", "a.json", "/m~1b")),
            (in_file("json", "a", "/m"), in_file("json", "a#/m", "/b")),
            (in_file("sops", "a.env", "/M"), location(r#"{"dotenv": {"path": "a.env", "variable": "M"}}"#)),
        ] {
            assert!(!is_nested(&one, &other) && !is_nested(&other, &one), "{one} {other}");
        }
    }
}
