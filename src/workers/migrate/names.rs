//! Names as the server folds them: what is not quoted is lower case, what has no schema is taken for `public`. Words only; whose
//! search path finds which table is the catalogue's knowledge.

/// The parts of a dotted name, folded.
pub(crate) fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = name.trim().chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut parts, '"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ if quoted => push(&mut parts, c),
            _ => push(&mut parts, c.to_ascii_lowercase()),
        }
    }
    parts
}

fn push(parts: &mut [String], c: char) {
    if let Some(last) = parts.last_mut() {
        last.push(c);
    }
}

/// With its schema, so that `contacts` and `public.contacts` are one.
pub(crate) fn canonical(name: &str) -> String {
    let parts = parts(name);
    if let [only] = parts.as_slice() { format!("public.{only}") } else { parts.join(".") }
}

/// The last part, folded.
pub(crate) fn last(name: &str) -> String {
    parts(name).pop().unwrap_or_default()
}

/// As a person writes it: without the schema that everybody means.
pub(crate) fn shown(canonical: &str) -> &str {
    canonical.strip_prefix("public.").unwrap_or(canonical)
}

/// An identifier as SQL takes it.
pub(crate) fn quoted(ident: &str) -> String {
    let plain = ident.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && ident.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { ident.to_owned() } else { format!("\"{}\"", ident.replace('"', "\"\"")) }
}

/// The name that the server gives to what nobody has named: `table_column_check`, cut as it cuts.
pub(crate) fn chosen(table: &str, column: &str, label: &str) -> String {
    const LONGEST: usize = 63;
    let (mut one, mut two) = (table.to_owned(), column.to_owned());
    let between = label.len() + 1 + usize::from(!two.is_empty());
    // The longer of the two gives way, a byte at a time.
    while one.len() + two.len() + between > LONGEST {
        if one.len() > two.len() {
            one.pop()
        } else {
            two.pop()
        };
    }
    if two.is_empty() { format!("{one}_{label}") } else { format!("{one}_{two}_{label}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_as_the_server_does() {
        assert_eq!(canonical("Contacts"), "public.contacts");
        assert_eq!(canonical("crm.\"Odd.Name\""), "crm.Odd.Name");
        assert_eq!(parts("a.\"b\"\"c\".D"), ["a", "b\"c", "d"]);
        assert_eq!(last("public.Contacts"), "contacts");
        assert_eq!(quoted("contacts"), "contacts");
        assert_eq!(quoted("Odd"), "\"Odd\"");
    }

    #[test]
    fn chooses_the_servers_names() {
        assert_eq!(chosen("contacts", "score", "check"), "contacts_score_check");
        assert_eq!(chosen("contacts", "", "pkey"), "contacts_pkey");
        let long = chosen(&"t".repeat(40), &"c".repeat(40), "check");
        assert_eq!((long.len(), long.starts_with(&format!("{}_", "t".repeat(28)))), (63, true));
    }
}
