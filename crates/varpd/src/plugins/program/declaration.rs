//! What a program declares itself to be, checked, as a property table.

use std::borrow::Cow;
use std::collections::HashSet;

use overlay_core::property::{Kind, Permission, Possible, PropertySpec};

use super::message::{Declaration, Declared, DeclaredMode, VERSION};
use crate::plugins::Mode;

/// Characters in the name of a plugin.
pub(crate) const NAME_MAX: usize = 31;

/// Properties of one program.
pub(crate) const PROPERTIES_MAX: usize = 64;

/// Characters in the line that documents a property.
const DOC_MAX: usize = 200;

/// Words that a property can be one of.
const WORDS_MAX: usize = 64;

/// Whether a plugin or a property of it may be called so: a lower-case letter, then lower-case letters, digits and
/// underscores.
pub(crate) fn is_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(inside)
}

/// The mode and the property table of the plugin `name`.
///
/// # Errors
/// What is wrong with the declaration.
pub(crate) fn check(declaration: Declaration, name: &str) -> Result<(Mode, Vec<PropertySpec>), String> {
    let Declaration { protocol, mode, properties } = declaration;
    if protocol != VERSION {
        return Err(format!("it speaks protocol {protocol}, and varpd {VERSION}"));
    }
    if properties.len() > PROPERTIES_MAX {
        return Err(format!("{} properties are more than {PROPERTIES_MAX}", properties.len()));
    }
    let mode = match mode {
        DeclaredMode::Point => Mode::Point,
        DeclaredMode::Dynamic => Mode::Dynamic,
    };
    let mut seen = HashSet::new();
    let table = properties.into_iter().map(|declared| {
        if !seen.insert(declared.name.clone()) {
            return Err(format!("property '{}' is there twice", printable(&declared.name)));
        }
        property(declared, name)
    });
    Ok((mode, table.collect::<Result<_, _>>()?))
}

fn property(declared: Declared, plugin: &str) -> Result<PropertySpec, String> {
    let name = declared.name.clone();
    if !is_name(&name) {
        return Err(format!("'{}' is no name of a property", printable(&name)));
    }
    row(declared, plugin).map_err(|reason| format!("property '{name}': {reason}"))
}

fn row(declared: Declared, plugin: &str) -> Result<PropertySpec, String> {
    let Declared { name, kind, required, default, possible, doc } = declared;
    check_doc(&doc)?;
    check_possible(kind, &possible)?;
    let default = default.map(typed_by_a_user).transpose()?;
    if required && default.is_some() {
        return Err("what is required has no default".to_owned());
    }
    let spec = PropertySpec {
        name: Cow::Owned(format!("{plugin}/{name}")),
        kind,
        permission: Permission::ReadWrite,
        required,
        default: default.map(Cow::Owned),
        possible,
        several: false,
        doc: Cow::Owned(doc),
    };
    if let Some(default) = &spec.default {
        spec.parse(default).map_err(|error| format!("its default: {error}"))?;
    }
    Ok(spec)
}

fn check_doc(doc: &str) -> Result<(), String> {
    if doc.is_empty() || doc.chars().any(char::is_control) || doc.chars().count() > DOC_MAX {
        return Err(format!("its 'doc' is not one line of 1 to {DOC_MAX} characters"));
    }
    Ok(())
}

fn check_possible(kind: Kind, possible: &Possible) -> Result<(), String> {
    match (kind, possible) {
        (_, Possible::Any) | (Kind::Ip, Possible::Address(_)) => Ok(()),
        (Kind::Uint, Possible::Range(low, high)) if low <= high => Ok(()),
        (Kind::Uint, Possible::Range(..)) => Err("its range ends before it begins".to_owned()),
        (Kind::String, Possible::Words(words)) if (1..=WORDS_MAX).contains(&words.len()) => {
            words.iter().try_for_each(|word| check_word(word))
        }
        (Kind::String, Possible::Words(_)) => Err(format!("it is one of 1 to {WORDS_MAX} words")),
        _ => Err("its 'possible' does not go with its 'kind'".to_owned()),
    }
}

/// A word stands in dladm's lists, where commas separate.
fn check_word(word: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if word.is_empty() || word.len() > PropertySpec::TEXT_MAX || !word.bytes().all(inside) {
        return Err(format!("'{}' is no word", printable(word)));
    }
    Ok(())
}

/// A default of JSON, as a user would type it.
fn typed_by_a_user(default: serde_json::Value) -> Result<String, String> {
    match default {
        serde_json::Value::String(text) if text.chars().any(char::is_control) => {
            Err("its default has control characters".to_owned())
        }
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err("its default is neither a number nor a text".to_owned()),
    }
}

/// A text of a program as it can stand in a line for people: control characters are escaped, and what is too long is cut.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST {
            line.push('…');
            break;
        }
        if is_plain(character) { line.push(character) } else { line.extend(character.escape_default()) }
    }
    line
}

/// Whether a terminal takes a character for nothing but itself: no control character, and none that turns the direction
/// of writing or separates lines (Unicode's Bidi_Control, Zl and Zp).
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::super::message::{Said, read};
    use super::*;

    fn declared(members: &str) -> Result<(Mode, Vec<PropertySpec>), String> {
        let line = format!("{{\"plugin\":{{\"protocol\":1,\"mode\":\"dynamic\",{members}}}}}");
        match read(line.as_bytes())? {
            Some(Said::Plugin(declaration)) => check(declaration, "x"),
            other => panic!("{other:?}"),
        }
    }

    fn one(property: &str) -> Result<PropertySpec, String> {
        declared(&format!("\"properties\":[{{{property}}}]")).map(|(_, mut table)| table.remove(0))
    }

    #[test]
    fn properties_get_the_plugins_prefix() {
        let spec = one(r#""name":"table","kind":"string","required":true,"doc":"the table""#).unwrap();
        assert_eq!((&*spec.name, spec.required, spec.possible), ("x/table", true, Possible::Any));
    }

    #[test]
    fn defaults_are_numbers_or_texts_and_legal() {
        let range = r#""name":"n","kind":"uint","doc":"d","possible":{"range":[1,9]}"#;
        assert_eq!(one(&format!("{range},\"default\":7")).unwrap().default.as_deref(), Some("7"));
        assert_eq!(one(&format!("{range},\"default\":\"7\"")).unwrap().default.as_deref(), Some("7"));
        for bad in ["0", "10", "-1", "1.5", "\"x\"", "[1]", "true"] {
            assert!(one(&format!("{range},\"default\":{bad}")).is_err(), "{bad}");
        }
        assert!(one(&format!("{range},\"default\":7,\"required\":true")).is_err());
    }

    #[test]
    fn what_is_possible_goes_with_the_kind() {
        for (kind, possible, legal) in [
            ("string", r#"{"words":["on","off"]}"#, true),
            ("ip", r#"{"address":"host"}"#, true),
            ("ip", r#"{"address":"host-or-any"}"#, true),
            ("int", r#""any""#, true),
            ("int", r#"{"range":[1,2]}"#, false),
            ("uint", r#"{"range":[2,1]}"#, false),
            ("uint", r#"{"words":["1"]}"#, false),
            ("string", r#"{"words":[]}"#, false),
            ("string", r#"{"words":["a,b"]}"#, false),
            ("string", r#"{"words":[""]}"#, false),
            ("string", r#"{"address":"host"}"#, false),
        ] {
            let property = format!(r#""name":"p","kind":"{kind}","doc":"d","possible":{possible}"#);
            assert_eq!(one(&property).is_ok(), legal, "{property}");
        }
    }

    #[test]
    fn names_and_lines_that_cannot_be_shown_are_refused() {
        for name in ["", "A", "1a", "a/b", "a-b", "a b", "a=b", "ä", &"a".repeat(32)] {
            assert!(one(&format!(r#""name":"{name}","kind":"int","doc":"d""#)).is_err(), "{name}");
        }
        for doc in ["", "two\\nlines", "\\u001b[31m", &"d".repeat(201)] {
            assert!(one(&format!(r#""name":"n","kind":"int","doc":"{doc}""#)).is_err(), "{doc}");
        }
        assert!(is_name("a_1") && is_name(&"a".repeat(31)));
    }

    #[test]
    fn repeated_and_too_many_properties_are_refused() {
        let property = |n: usize| format!(r#"{{"name":"p{n}","kind":"int","doc":"d"}}"#);
        let table = |n: usize| (0..n).map(property).collect::<Vec<_>>().join(",");
        assert!(declared(&format!("\"properties\":[{}]", table(64))).is_ok());
        assert!(declared(&format!("\"properties\":[{}]", table(65))).is_err());
        assert!(declared(&format!("\"properties\":[{},{}]", property(1), property(1))).is_err());
    }

    #[test]
    fn another_protocol_is_refused_in_words() {
        let declaration = Declaration { protocol: 2, mode: DeclaredMode::Point, properties: vec![] };
        assert_eq!(check(declaration, "x").unwrap_err(), "it speaks protocol 2, and varpd 1");
    }

    #[test]
    fn a_line_for_people_has_no_control_characters_and_an_end() {
        assert_eq!(printable("ä\x1b[31m\n\u{202e}"), "ä\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(printable(&"a".repeat(301)), format!("{}…", "a".repeat(300)));
    }
}
