use super::{Column, Style};

/// The word that asks for every field.
const ALL: &str = "all";

/// Why a list of fields cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectionError {
    /// Scripts must say which fields they read, so that new ones never shift theirs.
    #[error("parsable output needs the names of its fields with -o")]
    FieldsNeeded,
    /// None of the names, or for a script not every name, is a field.
    #[error("{unknown} (known ones: {known})")]
    Unknown {
        /// Those that are none.
        unknown: String,
        /// What there is, separated by commas.
        known: String,
    },
}

/// The fields that are shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Where each stands in the whole list.
    pub(super) picked: Vec<usize>,
    /// A warning about names that are no fields and are left out.
    pub(super) warning: Option<String>,
}

/// Finds the fields of `-o`; without it those that are not only shown on request. People get what there is of them and a warning; programs all or an error.
pub(super) fn select(
    columns: &[Column],
    asked: Option<&str>,
    style: Style,
) -> Result<Selection, SelectionError> {
    let Some(list) = asked.filter(|list| !list.eq_ignore_ascii_case(ALL)) else {
        let shown = |at: &usize| asked.is_some() || !columns[*at].on_request;
        return match style {
            Style::Parsable => Err(SelectionError::FieldsNeeded),
            _ => Ok(Selection { picked: (0..columns.len()).filter(shown).collect(), warning: None }),
        };
    };
    let (mut picked, mut lost) = (Vec::new(), Vec::new());
    for name in list.split(',') {
        match columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)) {
            Some(at) => picked.push(at),
            None => lost.push(name),
        }
    }
    if lost.is_empty() {
        return Ok(Selection { picked, warning: None });
    }
    let known = columns.iter().map(|column| column.name.to_ascii_lowercase()).collect::<Vec<_>>().join(", ");
    let error = SelectionError::Unknown { unknown: unknown(&lost), known };
    if picked.is_empty() || matches!(style, Style::Parsable | Style::Json) {
        return Err(error);
    }
    Ok(Selection { picked, warning: Some(format!("{error} left out")) })
}

fn unknown(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("unknown field{} {}", if names.len() == 1 { "" } else { "s" }, quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::new("LINK", 4), Column::new("MTU", 6)];

    fn picked(asked: Option<&str>, style: Style) -> Result<Vec<usize>, SelectionError> {
        select(COLUMNS, asked, style).map(|selection| selection.picked)
    }

    #[test]
    fn fields_are_found_in_any_case_and_order() {
        assert_eq!(picked(Some("MTU,link,Mtu"), Style::Parsable), Ok(vec![1, 0, 1]));
    }

    #[test]
    fn all_is_every_field() {
        for asked in [None, Some("all"), Some("ALL")] {
            assert_eq!(picked(asked, Style::Human), Ok(vec![0, 1]));
            assert_eq!(picked(asked, Style::Json), Ok(vec![0, 1]));
        }
    }

    #[test]
    fn some_fields_are_shown_only_on_request() {
        let columns = [COLUMNS[0], COLUMNS[1].on_request()];
        let picked = |asked, style| select(&columns, asked, style).map(|selection| selection.picked);
        for style in [Style::Human, Style::Json] {
            assert_eq!(picked(None, style), Ok(vec![0]));
            assert_eq!(picked(Some("all"), style), Ok(vec![0, 1]));
            assert_eq!(picked(Some("mtu"), style), Ok(vec![1]));
        }
    }

    #[test]
    fn parsable_needs_its_fields_named() {
        for asked in [None, Some("all")] {
            assert_eq!(picked(asked, Style::Parsable), Err(SelectionError::FieldsNeeded));
        }
    }

    #[test]
    fn people_get_the_known_fields_and_a_warning() {
        let selection = select(COLUMNS, Some("colour,link,taste"), Style::Human).unwrap();
        assert_eq!(selection.picked, [0]);
        let warning = selection.warning.unwrap();
        assert!(warning.starts_with("unknown fields 'colour', 'taste' (known ones: link, mtu)"), "{warning}");
    }

    #[test]
    fn an_unknown_field_is_fatal_for_programs_or_where_none_is_left() {
        for (asked, style) in [
            ("link,colour", Style::Parsable),
            ("link,colour", Style::Json),
            ("colour", Style::Human),
            ("", Style::Wrapped),
        ] {
            assert!(matches!(picked(Some(asked), style), Err(SelectionError::Unknown { .. })), "{asked}");
        }
    }
}
