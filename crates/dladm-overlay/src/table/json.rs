use serde_json::Value;

use super::{Cell, Column};

/// All rows as one array, an object and a line each, with the keys in the columns' order.
pub(super) fn array(columns: &[Column], rows: &[Vec<&Cell>]) -> String {
    let objects: Vec<_> = rows.iter().map(|cells| object(columns, cells)).collect();
    if objects.is_empty() { "[]\n".to_owned() } else { format!("[\n  {}\n]\n", objects.join(",\n  ")) }
}

fn object(columns: &[Column], cells: &[&Cell]) -> String {
    let fields = columns.iter().zip(cells).enumerate();
    // A field asked for twice would make a key that JSON has once.
    let once = fields.filter(|(at, (column, _))| !columns[..*at].contains(column));
    let pair = |column: &Column, cell: &Cell| {
        format!("{}: {}", Value::from(column.name.to_ascii_lowercase()), cell.json)
    };
    let pairs: Vec<_> = once.map(|(_, (column, cell))| pair(column, cell)).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::new("LINK", 4), Column::new("VALUE", 6), Column::new("LINK", 4)];

    #[test]
    fn values_keep_their_types_and_keys_their_order() {
        let (link, value) = (Cell::text("a\"0"), Cell::number(7u32));
        let text = array(COLUMNS, &[vec![&link, &value, &link]]);
        assert_eq!(text, "[\n  {\"link\": \"a\\\"0\", \"value\": 7}\n]\n");
        let (flag, nothing) = (Cell::flag(true), Cell::empty());
        let text = array(&COLUMNS[..2], &[vec![&flag, &nothing], vec![&nothing, &flag]]);
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed, serde_json::json!([{"link": true, "value": null}, {"link": null, "value": true}]));
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        assert_eq!(array(COLUMNS, &[]), "[]\n");
    }
}
