//! The words of OTTL.

/// A word, a text in quotes, a number, a sign.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

/// All of a condition, or what cannot be read of it.
pub fn read(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: &[&str] = &["==", "!=", ">=", "<=", ">", "<", "(", ")", "[", "]", ",", "."];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (value, after) = quoted(&rest[1..])?;
            tokens.push(Token::Text(value));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |at| at + 1);
            let number = &rest[..end];
            number.parse::<f64>().map_err(|_| format!("'{number}' is no number"))?;
            tokens.push(Token::Number(number.to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            return Err(format!("'{first}' has no counterpart"));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// The text up to the quote, as it is meant, and what stands behind it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, letter @ ('"' | '\\'))) => value.push(letter),
                // What OTTL takes as it stands, such as `\d` and `\.`.
                Some((_, letter)) => value.extend(['\\', letter]),
                None => break,
            },
            letter => value.push(letter),
        }
    }
    Err("a text without its second quote".to_owned())
}
