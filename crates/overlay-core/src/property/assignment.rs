use serde::{Deserialize, Serialize};

use super::PropertyError;

/// A property and its value, as a user typed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The property.
    pub name: String,
    /// The value, not yet looked at.
    pub value: String,
}

impl Assignment {
    /// One of `name` and `value`.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Reads dladm's property lists, `name=value[,name=value...]`, each from one `-p`.
///
/// # Errors
/// A first piece without `=` and one that repeats a name; a piece without `=` that follows a value is one more value of
/// the same property (dladm(8)).
pub fn parse_assignments<'a>(
    lists: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Assignment>, PropertyError> {
    let mut assignments: Vec<Assignment> = Vec::new();
    for piece in lists.into_iter().flat_map(|list| list.split(',')) {
        match (piece.split_once('='), assignments.last_mut()) {
            (Some((name, value)), _) if !name.is_empty() => {
                if assignments.iter().any(|earlier| earlier.name == name) {
                    return Err(PropertyError::Repeated(name.to_owned()));
                }
                assignments.push(Assignment::new(name, value));
            }
            (None, Some(earlier)) if !piece.is_empty() => {
                earlier.value.push(',');
                earlier.value.push_str(piece);
            }
            _ => return Err(PropertyError::NotAnAssignment(piece.to_owned())),
        }
    }
    Ok(assignments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_commas_and_joined_over_options() {
        let both = parse_assignments(["a=1,b=2", "c/d=x=y"]).unwrap();
        assert_eq!(
            both,
            [Assignment::new("a", "1"), Assignment::new("b", "2"), Assignment::new("c/d", "x=y")]
        );
    }

    #[test]
    fn a_property_is_given_once_and_may_have_several_values() {
        assert_eq!(parse_assignments(["a=1,a=2"]), Err(PropertyError::Repeated("a".into())));
        assert_eq!(parse_assignments(["a=1", "a=1"]), Err(PropertyError::Repeated("a".into())));
        let several = parse_assignments(["a=1,2,b=3", "4"]).unwrap();
        assert_eq!(several, [Assignment::new("a", "1,2"), Assignment::new("b", "3,4")]);
    }

    #[test]
    fn pieces_without_a_name_are_refused() {
        for text in ["", "mtu", "=1"] {
            assert_eq!(parse_assignments([text]), Err(PropertyError::NotAnAssignment(text.into())));
        }
        assert_eq!(parse_assignments(["a=1,"]), Err(PropertyError::NotAnAssignment(String::new())));
    }
}
