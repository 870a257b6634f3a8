//! Just enough of Rust's lexical rules to look at code without its comments and strings.

/// `source` with comments and the insides of string and character literals replaced by spaces; line breaks stay.
pub(super) fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skip(bytes, at);
        if end > at {
            code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end;
        } else {
            at += 1;
            // A quote after an identifier character cannot start a literal with a prefix; skip whole words.
            while is_word(bytes[at - 1]) && at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
        }
    }
    String::from_utf8(code).expect("only whole literals and comments were replaced by spaces")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// End of the comment or literal that starts at `at`; `at` itself if none does.
fn skip(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    let prefix = rest.iter().take_while(|byte| matches!(byte, b'b' | b'c' | b'r')).count().min(2);
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let raw = prefix > 0 && rest[prefix - 1] == b'r';
    if raw && rest.get(prefix + hashes) == Some(&b'"') {
        let open = prefix + hashes + 1;
        let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
        let length = rest[open..].windows(close.len()).position(|window| window == close);
        return at + length.map_or(rest.len(), |length| open + length + close.len());
    }
    match rest.get(prefix) {
        Some(b'"') if hashes == 0 => at + quoted(rest, prefix, b'"'),
        Some(b'\'') if hashes == 0 && is_character(&rest[prefix..]) => at + quoted(rest, prefix, b'\''),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Tells `'a'` from the lifetime `'a`.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&first) => {
            let width = if first < 0x80 {
                1
            } else {
                rest[2..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count() + 1
            };
            rest.get(1 + width) == Some(&b'\'')
        }
        None => false,
    }
}

/// Length of a literal whose opening `quote` is at `open`.
fn quoted(rest: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `code` without its modules of unit tests (`#[cfg(test)] mod … { … }`), whose imports are free.
pub(super) fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, after) = rest.split_at(start);
        kept.push_str(before);
        // The item ends with the brace that closes it, or with a semicolon.
        let mut depth = 0;
        let end = after.char_indices().find_map(|(at, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            let ends = matches!(character, '}' | ';') && depth == 0;
            ends.then_some(at + 1)
        });
        let (item, tail) = after.split_at(end.unwrap_or(after.len()));
        kept.extend(item.chars().filter(|character| *character == '\n'));
        rest = tail;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_become_spaces() {
        let source = "let a = \"x // y\"; // todo!\nlet b = '\"'; /* a /* b */ c */ fn f<'a>(x: &'a str) {}";
        let code = code_only(source);
        assert_eq!(code.len(), source.len());
        assert!(!code.contains("todo") && !code.contains('y') && !code.contains(" b */"));
        assert!(code.contains("let b =") && code.contains("fn f<'a>(x: &'a str) {}"));
    }

    #[test]
    fn raw_byte_and_escaped_literals_end_where_they_should() {
        for source in
            [r##"r#"a " b"# ; keep"##, r#"b"a\"b" ; keep"#, r"'\'' ; keep", "'é' ; keep", "b'x' ; keep"]
        {
            assert!(
                code_only(source).trim_start().starts_with("; keep"),
                "{source} -> {}",
                code_only(source)
            );
        }
        assert_eq!(code_only("for_br\"x\""), "for_br   ");
    }

    #[test]
    fn test_modules_are_cut_and_lines_are_kept() {
        let code = "use a;\n#[cfg(test)]\nmod tests {\n    use b; fn f() { }\n}\nuse c;\n#[cfg(test)]\nmod more;\nuse d;";
        let kept = without_tests(code);
        assert_eq!(kept.lines().count(), code.lines().count());
        assert!(kept.contains("use a") && kept.contains("use c") && kept.contains("use d"));
        assert!(!kept.contains("use b") && !kept.contains("more"));
    }
}
