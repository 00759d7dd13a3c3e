//! Names and texts as SQL: whatever a person types stands inside quotes, with quotes doubled, so that it can never become a command.

/// A name of a column or table.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A list of texts, for `IN`.
pub(super) fn texts(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("({})", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(name("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(text("o'clock"), "'o''clock'");
        assert_eq!(texts(&["a".into(), "b'".into()]), "('a', 'b''')");
    }
}
