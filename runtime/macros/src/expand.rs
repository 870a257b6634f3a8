//! From a file to the text of an expression.

use crate::tokens::expression;
use dunlin_core::{AlignedVec, Model, Storage};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Largest program that the compiler has room for.
const NODES: usize = 4096;

/// The expression for the file at `path`, relative to the crate that is being compiled.
///
/// # Errors
/// The file cannot be read or the runtime refuses it; the message names the file.
pub(crate) fn from_path(path: &str) -> Result<String, String> {
    let root =
        std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set; compile with cargo")?;
    let path = PathBuf::from(root).join(path);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    from_bytes(&path, &bytes)
}

/// The expression for the contents of the file at `path`.
///
/// # Errors
/// The runtime refuses the file.
pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<String, String> {
    let file = AlignedVec::from_slice(bytes);
    let mut storage = Box::new(Storage::<NODES, { 2 * NODES }, { 4 * NODES }>::new());
    let model = Model::parse(file.as_slice(), &mut storage)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let t = model.tables();
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let tracked = absolute.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))?;
    let data = t.data;
    let mut code = format!(
        "{{
            use ::dunlin::{{format, ops, quant, shape}};
            // The compiler reads the file too, so that a change of it compiles this again.
            const _: &[u8] = ::core::include_bytes!({tracked:?});
            static DATA: ::dunlin::AlignedBytes<{}> = ::dunlin::AlignedBytes::new(*{});",
        data.len(),
        byte_string(data)
    );
    // One kernel a node: operators that no node has are not linked.
    let kernels: Vec<String> =
        t.nodes.iter().map(|node| format!("ops::{}::KERNEL", node.op.name())).collect();
    write!(code, "static KERNELS: [ops::Kernel; {}] = [{}];", kernels.len(), kernels.join(", "))
        .map_err(|error| error.to_string())?;
    table(&mut code, "NODES", "::dunlin::format::Node", t.nodes)?;
    table(&mut code, "TENSORS", "::dunlin::format::Tensor", t.tensors)?;
    table(&mut code, "IDS", "u16", t.ids)?;
    table(&mut code, "INPUTS", "u16", t.inputs)?;
    table(&mut code, "OUTPUTS", "u16", t.outputs)?;
    table(&mut code, "DIMS", "u32", t.dims)?;
    let closing = write!(
        code,
        "::dunlin::Model::from_proved(::dunlin::Tables {{
            nodes: &NODES,
            tensors: &TENSORS,
            ids: &IDS,
            inputs: &INPUTS,
            outputs: &OUTPUTS,
            dims: &DIMS,
            arena_len: {},
            state_len: {},
            data: DATA.as_slice(),
            metadata: {},
            target: ::dunlin::Target::{:?},
            dispatch: ops::Dispatch::of(&KERNELS),
        }}) }}",
        t.arena_len,
        t.state_len,
        byte_string(t.metadata),
        t.target
    );
    closing.map_err(|error| error.to_string())?;
    Ok(code)
}

fn byte_string(bytes: &[u8]) -> String {
    proc_macro2::Literal::byte_string(bytes).to_string()
}

fn table<T: serde::Serialize>(
    code: &mut String,
    name: &str,
    element: &str,
    rows: &[T],
) -> Result<(), String> {
    let rows = rows.iter().map(expression).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| format!("{name}: {error}"))?;
    write!(code, "static {name}: [{element}; {}] = [{}];", rows.len(), rows.join(", "))
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> (PathBuf, Vec<u8>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/v1/model.dun");
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn a_good_file_becomes_an_expression_with_its_tables() {
        let (path, bytes) = golden();
        let code = from_bytes(&path, &bytes).unwrap();
        assert!(code.parse::<proc_macro2::TokenStream>().is_ok());
        assert!(code.contains("op: ::dunlin::ops::Op::Pad(::dunlin::ops::Pad {"));
        assert!(code.contains("pad: ::dunlin::shape::Pad {"));
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it_and_says_what_is_wrong() {
        let (path, mut bytes) = golden();
        bytes[200] ^= 1;
        let message = from_bytes(&path, &bytes).unwrap_err();
        assert!(message.contains("model.dun") && message.contains("the file is damaged"), "{message}");
        let message = from_bytes(&path, &bytes[..40]).unwrap_err();
        assert!(message.contains("it was cut off"), "{message}");
        let message = from_path("no/such/file.dun").unwrap_err();
        assert!(message.contains("no/such/file.dun"), "{message}");
    }
}
