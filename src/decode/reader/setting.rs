//! `format:` of a source, as it is written.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How the records of a source are read: one format, or several that are tried in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FormatSetting {
    /// One format.
    One(FormatChoice),
    /// Several: one connection of a mesh proxy carries the records of all its listeners.
    Several(Vec<FormatChoice>),
}

/// One format: by name, or written out as in the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FormatChoice {
    /// By name.
    Named(NamedFormat),
    /// As in a MeshAccessLog policy.
    Policy(Box<PolicyFormat>),
}

/// Formats with a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamedFormat {
    /// The default formats of Kuma, Envoy and Istio, and JSON objects, told apart record by record.
    #[default]
    Auto,
    /// Everything is text.
    Raw,
    /// JSON objects; a line that is none is kept as text with the reason.
    Json,
    /// Kuma's default format for HTTP, as it is sent and as it is documented.
    KumaHttp,
    /// Kuma's default format for TCP.
    KumaTcp,
    /// Envoy's default format.
    Envoy,
    /// Istio's default format.
    Istio,
}

/// A `format` block of a MeshAccessLog policy, pasted unchanged; for OTLP the `openTelemetry`
/// block's `attributes` and `body`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyFormat {
    /// Says which of the other keys counts; policies of old releases leave it out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PolicyFormatType>,
    /// Format string of a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain: Option<String>,
    /// Members of a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Vec<KeyFormat>>,
    /// What is absent is empty, not `-`. Accepted and not needed: both are understood.
    #[serde(default, skip_serializing_if = "is_false")]
    pub omit_empty_values: bool,
    /// Attributes of an OTLP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<KeyFormat>>,
    /// Body of an OTLP record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyFormat>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Types of a format block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PolicyFormatType {
    /// `plain` counts.
    Plain,
    /// `json` counts.
    Json,
    /// `attributes` and `body` count.
    OpenTelemetry,
}

/// A key and the format of its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFormat {
    /// The key.
    pub key: String,
    /// The format string of its value.
    pub value: String,
}

/// The body of an OTLP record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum BodyFormat {
    /// A format string.
    Text(String),
    /// An AnyValue in ProtoJSON.
    Value(ValueFormat),
}

/// An AnyValue in ProtoJSON whose strings are format strings. Envoy accepts no other kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ValueFormat {
    /// A format string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// An array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_value: Option<ArrayFormat>,
    /// Keys and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kvlist_value: Option<KvlistFormat>,
}

/// Items of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrayFormat {
    /// The items.
    #[serde(default)]
    pub values: Vec<ValueFormat>,
}

/// Members of a list of keys and values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvlistFormat {
    /// The members.
    #[serde(default)]
    pub values: Vec<MemberFormat>,
}

/// One member of a list of keys and values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberFormat {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: ValueFormat,
}

impl Default for FormatSetting {
    fn default() -> Self {
        NamedFormat::Auto.into()
    }
}

impl From<NamedFormat> for FormatSetting {
    fn from(name: NamedFormat) -> Self {
        FormatSetting::One(FormatChoice::Named(name))
    }
}

impl FormatSetting {
    /// The formats, in the order they are tried.
    #[must_use]
    pub fn choices(&self) -> &[FormatChoice] {
        match self {
            FormatSetting::One(choice) => std::slice::from_ref(choice),
            FormatSetting::Several(choices) => choices,
        }
    }
}

// By hand, because a derived untagged enum says neither what was expected nor where.

impl<'de> Deserialize<'de> for FormatSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = FormatSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a format or a list of formats")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<FormatSetting, E> {
                Choice.visit_str(name).map(FormatSetting::One)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FormatSetting, A::Error> {
                Choice.visit_map(map).map(FormatSetting::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FormatSetting, A::Error> {
                let mut choices = Vec::new();
                while let Some(choice) = items.next_element()? {
                    choices.push(choice);
                }
                Ok(FormatSetting::Several(choices))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

struct Choice;

impl<'de> Visitor<'de> for Choice {
    type Value = FormatChoice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a format, or a format block of a policy")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<FormatChoice, E> {
        let name: StrDeserializer<'_, E> = name.into_deserializer();
        NamedFormat::deserialize(name).map(FormatChoice::Named)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FormatChoice, A::Error> {
        PolicyFormat::deserialize(MapAccessDeserializer::new(map)).map(|it| FormatChoice::Policy(Box::new(it)))
    }
}

impl<'de> Deserialize<'de> for FormatChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choice)
    }
}

impl<'de> Deserialize<'de> for BodyFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrValue;

        impl<'de> Visitor<'de> for TextOrValue {
            type Value = BodyFormat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a format string, or stringValue, arrayValue or kvlistValue")
            }

            fn visit_str<E>(self, text: &str) -> Result<BodyFormat, E> {
                Ok(BodyFormat::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BodyFormat, A::Error> {
                ValueFormat::deserialize(MapAccessDeserializer::new(map)).map(BodyFormat::Value)
            }
        }

        deserializer.deserialize_any(TextOrValue)
    }
}
