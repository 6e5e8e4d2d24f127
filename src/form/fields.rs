//! The short way to write a schema: `'service, severity, n int'`, in `[…]` a list of such objects.

use serde_json::{Map, Value, json};

/// The schema that the fields stand for.
///
/// # Errors
/// They are no fields.
pub fn fields(text: &str) -> Result<Value, String> {
    let text = text.trim();
    match text.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.strip_suffix(']').ok_or("the bracket is not closed")?;
            Ok(json!({"type": "array", "items": object(inner)?}))
        }
        None => object(text),
    }
}

fn object(text: &str) -> Result<Value, String> {
    let mut properties = Map::new();
    for field in text.split(',') {
        let mut words = field.split_whitespace();
        let name = words.next().ok_or("a name is missing between the commas")?;
        let rest = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        if rest == name || !rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            return Err(format!("'{name}' is no name of a field"));
        }
        let kind = match words.next() {
            None | Some("str" | "string" | "text") => "string",
            Some("int" | "integer") => "integer",
            Some("num" | "number" | "float") => "number",
            Some("bool" | "boolean") => "boolean",
            Some(other) => return Err(format!("'{other}' is no type: string, int, number or bool")),
        };
        if let Some(more) = words.next() {
            return Err(format!("'{more}' is too much: NAME TYPE, and a comma"));
        }
        if properties.insert(name.to_owned(), json!({"type": kind})).is_some() {
            return Err(format!("'{name}' is given twice"));
        }
    }
    let required: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
    Ok(json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_an_object_and_brackets_a_list() {
        let object = fields("service, n int,ok bool").unwrap();
        assert_eq!(object["properties"]["n"]["type"], "integer");
        assert_eq!(object["required"], json!(["service", "n", "ok"]));
        assert_eq!(object["additionalProperties"], false);
        let list = fields("[service, x number]").unwrap();
        assert_eq!((&list["type"], &list["items"]["properties"]["x"]["type"]), (&json!("array"), &json!("number")));
    }

    #[test]
    fn what_is_no_field_is_named() {
        for (text, named) in [
            ("a,,b", "missing"),
            ("a b", "'b'"),
            ("a int c", "'c'"),
            ("a,a", "twice"),
            ("a!", "'a!'"),
            ("-", "'-'"),
            ("a,-b", "'-b'"),
            ("[a", "bracket"),
        ] {
            assert!(fields(text).unwrap_err().contains(named), "{text}");
        }
    }
}
