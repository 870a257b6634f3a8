//! "Who may import whom": the layers of the runtime and the trainer, and who may name burn and tract.

use std::collections::BTreeMap;
use std::path::Path;

use super::lexer::{code_only, without_tests};
use super::{read, rust_files};

/// A crate's modules and what each may import besides itself and the common modules.
struct Layers {
    source: &'static str,
    common: &'static [&'static str],
    order: Order,
}

enum Order {
    /// Module and what it may import.
    Edges(&'static [(&'static str, &'static [&'static str])]),
    /// Groups from the top down: a module may import its own group and all below; then the edges that go upwards.
    Groups(&'static [&'static [&'static str]], &'static [(&'static str, &'static str)]),
}

impl Order {
    fn knows(&self, module: &str) -> bool {
        match self {
            Self::Edges(edges) => edges.iter().any(|(known, _)| *known == module),
            Self::Groups(groups, _) => groups.iter().any(|group| group.contains(&module)),
        }
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        match self {
            Self::Edges(edges) => {
                edges.iter().any(|(module, allowed)| *module == from && allowed.contains(&to))
            }
            Self::Groups(groups, upwards) => {
                let place = |module| groups.iter().position(|group| group.contains(&module));
                place(from) <= place(to) || upwards.contains(&(from, to))
            }
        }
    }
}

/// session → model → format → ops → isa → quant; session → arena, observe; all → error, shape.
///
/// `format` holds the types of the program, which operators and memory share, and the encoder, which proves what it
/// has written: hence its edges up to `model` and the edges of `ops` and `arena` back to it. `isa` sees slices and
/// requantisation only.
const RUNTIME: Layers = Layers {
    source: "runtime/core/src",
    common: &["error", "shape"],
    order: Order::Edges(&[
        ("session", &["model", "format", "ops", "isa", "quant", "arena", "observe"]),
        ("model", &["format", "ops", "isa", "quant", "arena"]),
        ("format", &["model", "ops", "isa", "quant", "arena"]),
        ("ops", &["isa", "quant", "fixed", "fixed16", "format", "arena"]),
        ("arena", &["format"]),
        ("isa", &["quant", "fixed", "fixed16"]),
        ("fixed", &["quant"]),
        ("fixed16", &["fixed", "quant"]),
        ("quant", &[]),
        ("observe", &[]),
        ("error", &["format"]),
        ("shape", &[]),
    ]),
};

/// cli → {train, eval, report, import, export, track} → {zoo, data, env}; export → plan → quantise → passes → exec → net →
/// graph → ops; eval, track → assign. The recipe of a zoo model is made of `train`'s types.
const TRAINER: Layers = Layers {
    source: "trainer/src",
    common: &["error"],
    order: Order::Groups(
        &[
            &["main", "cli"],
            &["train", "eval", "report", "import", "export", "track"],
            &["zoo", "data", "env"],
            &["plan"],
            &["quantise"],
            &["passes"],
            &["exec"],
            &["net"],
            &["graph"],
            &["ops"],
            &["assign"],
        ],
        &[("zoo", "train")],
    ),
};

/// Crates that only some modules of the trainer may name. `eval` runs float graphs on burn's devices, as `train` does;
/// `export` writes the protobuf types that tract reads.
const FOREIGN: [(&str, &[&str]); 2] =
    [("burn", &["exec", "ops", "train", "eval"]), ("tract_", &["import", "export", "eval"])];

/// Findings in the checkout at `root`.
pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for layers in [&RUNTIME, &TRAINER] {
        let folder = root.join(layers.source);
        let lib = read(&folder.join("lib.rs"))?;
        let reexports = reexports(&code_only(&lib));
        for path in rust_files(&folder)? {
            let relative = path.strip_prefix(&folder).unwrap_or(&path);
            let base = module_path(relative);
            let Some(module) = top(&base) else { continue };
            let code = without_tests(&code_only(&read(&path)?));
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            for (line, what) in layers.findings(module, &base, &code, &reexports) {
                findings.push(format!("{shown}:{line}: {what}"));
            }
        }
    }
    Ok(findings)
}

/// Module of the file at `path` below a crate's `src`.
fn module_path(path: &Path) -> Vec<String> {
    let whole = path.with_extension("");
    let mut parts: Vec<String> = whole.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The top module of a file; none for `lib.rs`, which ties the modules together, for binaries and for tests.
fn top(base: &[String]) -> Option<&str> {
    let (first, last) = (base.first()?, base.last()?);
    let free = ["lib", "bin"].contains(&first.as_str()) || ["tests", "testing"].contains(&last.as_str());
    (!free).then_some(first)
}

/// Items that `lib.rs` re-exports, with the module they come from.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (_, path) in paths(lib) {
        if let [module, .., item] = path.as_slice() {
            names.insert(item.clone(), module.clone());
        }
    }
    names
}

impl Layers {
    /// Findings in `code`, a file of `module`, stripped of literals and tests: line and what is wrong.
    fn findings(
        &self,
        module: &str,
        base: &[String],
        code: &str,
        reexports: &BTreeMap<String, String>,
    ) -> Vec<(usize, String)> {
        if !self.order.knows(module) {
            let place =
                "it has no place in the layers: add it to xtask/src/lint/imports.rs and ARCHITECTURE.md";
            return vec![(1, format!("module `{module}`: {place}"))];
        }
        let mut findings = Vec::new();
        for (line, path) in paths(code) {
            let path = resolve(path, base);
            let (root, rest) = path.split_first().map_or(("", &[][..]), |(root, rest)| (root.as_str(), rest));
            if root == "crate" {
                let Some(first) = rest.first() else { continue };
                let target =
                    if self.order.knows(first) { first } else { reexports.get(first).unwrap_or(first) };
                let fine = target == module
                    || !self.order.knows(target)
                    || self.common.contains(&target.as_str())
                    || self.order.allows(module, target);
                if !fine {
                    findings
                        .push((line, format!("`{module}` must not import `{target}` ({})", path.join("::"))));
                }
            } else if self.source.starts_with("trainer") {
                for (name, modules) in FOREIGN {
                    let named = if name.ends_with('_') { root.starts_with(name) } else { root == name };
                    if named && !modules.contains(&module) {
                        let only = modules.join(", ");
                        findings.push((line, format!("`{module}` must not name `{root}`; only {only} may")));
                    }
                }
            }
        }
        findings
    }
}

/// `path`, met in the file of module `base`, from the root of its crate: `self` and `super` resolved.
fn resolve(mut path: Vec<String>, base: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let selves = usize::from(path.first().is_some_and(|part| part == "self"));
    if ups + selves == 0 {
        return path;
    }
    let parent = base.len().saturating_sub(ups);
    let absolute = std::iter::once("crate".to_owned()).chain(base[..parent].iter().cloned());
    absolute.chain(path.drain(ups + selves..)).collect()
}

/// Every path with at least two segments in `code`, with its line; the trees of `use` are spread out.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = is_name(tokens[at].1)
            && tokens.get(at + 1).is_some_and(|(_, next)| *next == "::")
            && (at == 0 || tokens[at - 1].1 != "::");
        if begins {
            let mut here = Vec::new();
            at = tree(&tokens, at, &mut Vec::new(), &mut here);
            found.extend(here);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads the path or tree at `at` behind `prefix` into `found`; returns the first token after it.
fn tree<'c>(
    tokens: &[(usize, &'c str)],
    mut at: usize,
    prefix: &mut Vec<&'c str>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let depth = prefix.len();
    let line = tokens.get(at).map_or(0, |token| token.0);
    loop {
        match tokens.get(at).map(|token| token.1) {
            Some("{") => {
                at += 1;
                while let Some(&(_, token)) = tokens.get(at).filter(|token| token.1 != "}") {
                    let next = if token == "," { at + 1 } else { tree(tokens, at, prefix, found) };
                    at = next.max(at + 1);
                }
                at += 1;
                break;
            }
            Some(name) if is_name(name) || name == "*" => {
                prefix.push(name);
                at += 1;
                if tokens.get(at).is_some_and(|token| token.1 == "::") {
                    at += 1;
                    continue;
                }
                found.push((line, prefix.iter().map(|&part| part.to_owned()).collect()));
                break;
            }
            // `path::<T>`: what is before the generic arguments is the path.
            _ => {
                found.push((line, prefix.iter().map(|&part| part.to_owned()).collect()));
                break;
            }
        }
    }
    prefix.truncate(depth);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::` and single characters, with their lines counted from 1.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let word = |character: char| character.is_alphanumeric() || character == '_';
        let length = if word(first) {
            rest.find(|character| !word(character)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, tail) = rest.split_at(length);
        if first == '\n' {
            line += 1;
        }
        if !first.is_whitespace() {
            tokens.push((line, token));
        }
        rest = tail;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(layers: &Layers, file: &str, code: &str) -> Vec<String> {
        let base = module_path(Path::new(file));
        let reexports = reexports("pub use session::{Element, Session};\npub use error::ParseError;");
        let module = top(&base).expect("a module");
        let code = without_tests(&code_only(code));
        layers
            .findings(module, &base, &code, &reexports)
            .into_iter()
            .map(|(line, what)| format!("{line}: {what}"))
            .collect()
    }

    #[test]
    fn imports_down_the_layers_are_fine() {
        let code = "use crate::isa::Isa;\nuse crate::{error::NodeFault, quant::{Requant, Clamp as C}};\nuse super::Io;";
        assert_eq!(found(&RUNTIME, "ops/conv.rs", code), Vec::<String>::new());
        assert_eq!(
            found(&RUNTIME, "session.rs", "use crate::model::Model; use crate::Element;"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn imports_up_the_layers_are_found_however_they_are_written() {
        for code in [
            "use crate::ops::Op;",
            "use crate::{quant, ops::Op};",
            "use super::super::ops::Op;",
            "fn f(x: &crate::ops::Op) {}",
            "fn f() { crate::ops::run::<u8>() }",
            "use crate::{\n    quant::{Requant},\n    ops::{self, *},\n};",
        ] {
            let findings = found(&RUNTIME, "isa/scalar.rs", code);
            assert!(
                findings.iter().any(|finding| finding.contains("`isa` must not import `ops`")),
                "{code}: {findings:?}"
            );
        }
        assert_eq!(
            found(&RUNTIME, "quant.rs", "\nuse crate::Session;"),
            ["2: `quant` must not import `session` (crate::Session)"]
        );
    }

    #[test]
    fn comments_literals_and_tests_may_name_anything() {
        let code = "// use crate::ops::Op;\nconst A: &str = \"crate::ops\";\n#[cfg(test)]\nmod tests { use crate::ops::Op; }";
        assert_eq!(found(&RUNTIME, "isa/scalar.rs", code), Vec::<String>::new());
    }

    #[test]
    fn burn_and_tract_stay_where_they_belong() {
        assert_eq!(found(&TRAINER, "exec.rs", "use burn::tensor::Tensor;"), Vec::<String>::new());
        assert_eq!(found(&TRAINER, "graph.rs", "use burn::tensor::Tensor;").len(), 1);
        assert_eq!(found(&TRAINER, "plan/mod.rs", "fn f() -> tract_onnx::pb::ModelProto {}").len(), 1);
        assert_eq!(found(&TRAINER, "import/onnx.rs", "use tract_onnx::pb;"), Vec::<String>::new());
    }

    #[test]
    fn a_new_module_needs_a_place() {
        assert!(found(&TRAINER, "misc.rs", "")[0].contains("no place in the layers"));
    }

    #[test]
    fn groups_are_read_from_the_top_down() {
        assert_eq!(found(&TRAINER, "export/dun.rs", "use crate::{eval, plan::Plan};"), Vec::<String>::new());
        assert_eq!(found(&TRAINER, "zoo/fcn.rs", "use crate::train::Recipe;"), Vec::<String>::new());
        assert_eq!(found(&TRAINER, "data/idx.rs", "use crate::zoo;"), Vec::<String>::new());
        assert_eq!(found(&TRAINER, "data/idx.rs", "use crate::train::Recipe;").len(), 1);
        assert_eq!(found(&TRAINER, "ops/conv2d.rs", "use crate::graph::Graph;").len(), 1);
    }
}
