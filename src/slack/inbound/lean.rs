//! Interactions without what nobody reads: Slack sends along the whole message or form that somebody
//! acts on, which is most of the text, and building it takes longer than everything else we do before
//! an answer is stored.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Of a message only where it stands is left, of the blocks of a form only which there are. What does
/// not look like that is read whole.
pub(super) fn read(text: &str) -> Value {
    let mut json = serde_json::Deserializer::from_str(text);
    let lean =
        Part::Interaction.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    lean.or_else(|_| serde_json::from_str(text)).unwrap_or_default()
}

/// What is being read.
#[derive(Clone, Copy)]
enum Part {
    Interaction,
    Message,
    View,
    Blocks,
    Block,
}

/// What becomes of a field.
enum Field {
    Kept,
    Read(Part),
    Skipped,
}

impl Part {
    fn field(self, name: &str) -> Field {
        match (self, name) {
            (Self::Interaction, "message") => Field::Read(Self::Message),
            (Self::Interaction, "view") => Field::Read(Self::View),
            (Self::View, "blocks") => Field::Read(Self::Blocks),
            (Self::Interaction | Self::View, _)
            | (Self::Message, "ts")
            | (Self::Block, "type" | "block_id") => Field::Kept,
            (Self::Message | Self::Blocks | Self::Block, _) => Field::Skipped,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what Slack sends")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        if !matches!(self, Self::Blocks) {
            return Err(A::Error::custom("a list"));
        }
        let mut read = Vec::with_capacity(items.size_hint().unwrap_or(8));
        while let Some(item) = items.next_element_seed(Self::Block)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = match self.field(&name) {
                Field::Kept => fields.next_value()?,
                Field::Read(part) => fields.next_value_seed(part)?,
                Field::Skipped => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_reads_is_left_out_and_everything_else_is_there() {
        let blocks = json!([{"type": "input", "block_id": "ended", "label": {"text": "How?"}}]);
        let state = json!({"values": {"blocks": {"v": {"value": "words"}}, "message": {"v": {}}}});
        let whole = json!({"type": "x", "actions": [{"value": "a", "text": {"text": "No"}}],
            "message": {"ts": "1.2", "text": "Hello", "blocks": blocks},
            "view": {"id": "V1", "blocks": blocks, "state": state}});
        let lean = json!({"type": "x", "actions": [{"value": "a", "text": {"text": "No"}}],
            "message": {"ts": "1.2"},
            "view": {"id": "V1", "blocks": [{"type": "input", "block_id": "ended"}], "state": state}});
        assert_eq!(read(&whole.to_string()), lean);
    }

    #[test]
    fn what_looks_different_is_read_whole() {
        for odd in [
            json!({"view": null, "message": null}),
            json!({"view": {"blocks": {"type": "input", "x": 1}}}),
            json!({"message": ["a", {"b": 1}], "view": "text"}),
            json!([{"message": {"text": "a"}}]),
            json!("text"),
        ] {
            let is_map = odd["view"]["blocks"].is_object();
            let expected = if is_map { json!({"view": {"blocks": {}}}) } else { odd.clone() };
            assert_eq!(read(&odd.to_string()), expected, "{odd}");
        }
        assert_eq!(read("{\"view\": {}} more"), Value::Null);
        assert_eq!(read("{\"view\": "), Value::Null);
    }
}
