//! Rules on single lines, in every source of the repository.

use std::path::Path;

use super::lexer::code_only;
use super::{read, rust_files};

/// Findings in all files under `folders` of `root`.
pub(super) fn check(root: &Path, folders: &[&str]) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for folder in folders {
        for path in rust_files(&root.join(folder))? {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let found = findings_in(&read(&path)?, *folder == "runtime");
            findings.extend(found.into_iter().map(|(line, what)| format!("{shown}:{line}: {what}")));
        }
    }
    Ok(findings)
}

/// Findings in one file: line, counted from 1, and what is wrong.
fn findings_in(source: &str, in_runtime: bool) -> Vec<(usize, String)> {
    let code = code_only(source);
    let original: Vec<&str> = source.lines().collect();
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut found = |what: &str| findings.push((index + 1, what.to_owned()));
        if ["todo!", "unimplemented!", "dbg!"].iter().any(|macro_name| has_word(line, macro_name)) {
            found("unfinished code (todo!, unimplemented! or dbg!)");
        }
        if ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|start| line.contains(start)) {
            let commented = original[index].contains("//")
                || index.checked_sub(1).is_some_and(|above| original[above].trim_start().starts_with("//"));
            if !commented && !attribute(&code, index).contains("reason") {
                found("a lint is switched off without a reason: add `reason = \"…\"`");
            }
        }
        if in_runtime
            && has_word(line, "target_feature")
            && (has_word(line, "cfg") || line.contains("cfg_attr"))
        {
            found(
                "cfg(target_feature): stable Rust shows none of it for Cortex-M; choose the ISA by a cargo feature",
            );
        }
    }
    findings
}

/// The attribute that starts on `line`, over as many lines as it has.
fn attribute(code: &str, line: usize) -> String {
    let mut text = String::new();
    for part in code.lines().skip(line) {
        text.push_str(part);
        if part.contains(']') {
            break;
        }
    }
    text
}

/// Whether `word` occurs in `line` and does not continue an identifier before it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str, in_runtime: bool) -> Vec<usize> {
        findings_in(source, in_runtime).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn unfinished_code_is_found_but_not_in_comments() {
        assert_eq!(lines("fn f() {\n    todo!()\n}\n// todo!()\nconst A: &str = \"dbg!\";", false), [2]);
        assert_eq!(lines("my_todo!();", false), Vec::<usize>::new());
    }

    #[test]
    fn a_lint_is_switched_off_only_with_a_reason() {
        assert_eq!(lines("#[allow(dead_code)]\nfn f() {}", false), [1]);
        assert_eq!(lines("#![expect(dead_code)]", false), [1]);
        assert_eq!(lines("#[allow(dead_code, reason = \"used on Windows\")]", false), Vec::<usize>::new());
        assert_eq!(lines("#[allow(\n    dead_code,\n    reason = \"x\"\n)]", false), Vec::<usize>::new());
        assert_eq!(lines("// The table is clearer so.\n#[allow(dead_code)]", false), Vec::<usize>::new());
    }

    #[test]
    fn the_runtime_never_asks_for_a_target_feature() {
        let source =
            "#[cfg(target_feature = \"mve\")]\nfn f() {}\n#[target_feature(enable = \"avx2\")]\nfn g() {}";
        assert_eq!(lines(source, true), [1]);
        assert_eq!(lines("if cfg!(target_feature = \"dsp\") {}", true), [1]);
        assert_eq!(lines(source, false), Vec::<usize>::new());
    }
}
