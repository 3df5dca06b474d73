//! The files in `config/`, and the schema.

use logboom::config::Config;
use serde_json::Value;

fn examples() -> Vec<(String, String)> {
    let dir = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap();
    let files = dir.map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_example_loads_and_survives_a_round_trip() {
    let examples = examples();
    assert!(examples.len() >= 4);
    for (name, text) in examples {
        let checked = Config::from_text(&name, &text).unwrap_or_else(|errors| panic!("{errors}"));
        let shown = serde_saphyr::to_string(checked.config()).unwrap();
        // What hides a token is none.
        let filled_in = shown.replace("- \"***\"", "- a-token-to-take-its-place");
        let again = Config::from_text("shown", &filled_in).unwrap_or_else(|errors| panic!("{shown}\n{errors}"));
        assert_eq!(shown, serde_saphyr::to_string(again.config()).unwrap());
    }
}

#[test]
fn the_schema_accepts_every_example() {
    let schema = schemars::schema_for!(Config).to_value();
    for (name, text) in examples() {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        schema::check(&schema, &schema, &value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for wrong in
        [r#"{"sources": {}, "sinks": {}, "x": 1}"#, r#"{"sources": {}, "sinks": {"s": {"type": "null", "x": 1}}}"#]
    {
        assert!(schema::check(&schema, &schema, &serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
    }
}

#[test]
fn the_reference_has_every_key() {
    let schema = schemars::schema_for!(Config).to_value();
    let (_, text) = examples().into_iter().find(|(name, _)| name.ends_with("reference.yaml")).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let mut missing = Vec::new();
    schema::missing(&schema, &schema, &[&value], "", &mut missing);
    // The blocks of a format are lists within lists: their keys are looked for as words.
    missing.retain(|path: &String| !path.contains(".format("));
    for key in ["plain", "json", "omitEmptyValues", "attributes", "body", "stringValue", "arrayValue", "kvlistValue"] {
        assert!(text.contains(&format!("{key}:")), "{key}");
    }
    assert!(missing.is_empty(), "not in config/reference.yaml: {missing:?}");
}

/// As much of JSON Schema as our schema uses; patterns are left to the types themselves.
mod schema {
    use serde_json::{Map, Value};

    fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).expect(reference),
            None => schema,
        }
    }

    fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
        schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = resolve(root, schema);
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let is = |name: &&str| match *name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("type {other}"),
        };
        if !types.is_empty() && !types.iter().any(is) {
            return Err(format!("{value} is not {types:?}"));
        }
        if schema.get("const").is_some_and(|wanted| wanted != value) {
            return Err(format!("{value} is not {}", schema["const"]));
        }
        for key in list(schema, "required") {
            value.get(key.as_str().unwrap()).ok_or(format!("{key} is missing in {value}"))?;
        }
        for (key, count) in [("oneOf", 1), ("anyOf", 0)] {
            let matching = list(schema, key).iter().filter(|one| check(root, one, value).is_ok()).count();
            if schema.get(key).is_some() && (matching == 0 || (count > 0 && matching != count)) {
                return Err(format!("{value} matches {matching} of {key}"));
            }
        }
        for item in value.as_array().into_iter().flatten() {
            check(root, &schema["items"], item)?;
        }
        let nothing = Map::new();
        for (key, item) in value.as_object().unwrap_or(&nothing) {
            match schema.get("properties").and_then(|properties| properties.get(key)) {
                Some(property) => check(root, property, item).map_err(|error| format!("{key}: {error}"))?,
                None => match &schema["additionalProperties"] {
                    Value::Bool(false) => return Err(format!("{key} is unknown")),
                    Value::Object(_) => check(root, &schema["additionalProperties"], item)?,
                    _ => {}
                },
            }
            let known = |one: &Value| one["properties"].get(key).is_some() && check(root, one, value).is_ok();
            let own = schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
            if schema["unevaluatedProperties"] == Value::Bool(false) && !own && !list(schema, "oneOf").iter().any(known)
            {
                return Err(format!("{key} is unknown"));
            }
        }
        Ok(())
    }

    pub fn missing(root: &Value, schema: &Value, values: &[&Value], path: &str, found: &mut Vec<String>) {
        let schema = resolve(root, schema);
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let inside: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
            match inside.is_empty() {
                true => found.push(format!("{path}.{key}")),
                false => missing(root, property, &inside, &format!("{path}.{key}"), found),
            }
        }
        if schema["additionalProperties"].is_object() {
            let inside: Vec<&Value> =
                values.iter().filter_map(|value| value.as_object()).flat_map(Map::values).collect();
            missing(root, &schema["additionalProperties"], &inside, &format!("{path}.*"), found);
        }
        for one in list(schema, "oneOf").iter().chain(list(schema, "anyOf")) {
            let one = resolve(root, one);
            let kind = &one["properties"]["type"]["const"];
            let chosen: Vec<&Value> =
                values.iter().copied().filter(|value| kind.is_null() || value.get("type") == Some(kind)).collect();
            missing(root, one, &chosen, &format!("{path}({kind})"), found);
        }
    }
}
