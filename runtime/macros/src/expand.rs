//! From a file to the text of an expression or a module.

use crate::argument::{Module, Path};
use crate::tokens::expression;
use dunlin_core::{AlignedVec, Model, Storage};
use std::fmt::Write;
use std::path::PathBuf;

/// Largest program that the compiler has room for.
const NODES: usize = 4096;

/// The expression for the file at `path`, relative to the crate that is being compiled.
///
/// # Errors
/// The file cannot be read or the runtime refuses it; the message names the file.
pub(crate) fn expression_at(path: &Path) -> Result<String, String> {
    let (file, bytes) = read(path)?;
    let parts = parts(&file, &bytes)?;
    Ok(format!("{{ {} {} {} }}", tracking(&path.variables), parts.statics, parts.model))
}

/// The module for the file at its path.
///
/// # Errors
/// As for [`expression_at`].
pub(crate) fn module(module: &Module) -> Result<String, String> {
    let (file, bytes) = read(&module.path)?;
    let parts = parts(&file, &bytes)?;
    Ok(format!(
        "{} mod {} {{
            #![allow(dead_code, unreachable_pub)]
            {}
            {}
            {}
            /// The model.
            pub static MODEL: ::dunlin::Model<'static> = {};
        }}",
        module.before,
        module.name,
        tracking(&module.path.variables),
        parts.statics,
        parts.interface,
        parts.model,
    ))
}

fn read(path: &Path) -> Result<(PathBuf, Vec<u8>), String> {
    let root =
        std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set; compile with cargo")?;
    let file = PathBuf::from(root).join(&path.text);
    match std::fs::read(&file) {
        Ok(bytes) => Ok((file, bytes)),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// The compiler reads the variables too, so that a change of one compiles this again.
fn tracking(variables: &[String]) -> String {
    variables
        .iter()
        .map(|name| format!("const _: ::core::option::Option<&str> = ::core::option_env!({name:?});"))
        .collect()
}

/// The pieces of an expansion.
struct Parts {
    /// Tables and constants.
    statics: String,
    /// Sizes, types, and the function that makes a session.
    interface: String,
    /// The expression of type `Model<'static>`.
    model: String,
}

/// The pieces for the contents of the file at `path`. The statics are named so that they are found in an image.
///
/// # Errors
/// The runtime refuses the file.
fn parts(path: &std::path::Path, bytes: &[u8]) -> Result<Parts, String> {
    let file = AlignedVec::from_slice(bytes);
    let mut storage = Box::new(Storage::<NODES, { 2 * NODES }, { 4 * NODES }>::new());
    let parsed = Model::parse(file.as_slice(), &mut storage)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let t = parsed.tables();
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let tracked = absolute.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))?;
    let data = t.data;
    // The macro's own build reads the files of every core: whether this one can, only the program's build knows.
    let elsewhere = format!(
        "{}: the constants are packed for {}, whose kernels this build does not have; turn on their feature, \
         or export the file for the core that this program runs on",
        path.display(),
        t.target.name()
    );
    let mut statics = format!(
        "
            // The compiler reads the file too, so that a change of it compiles this again.
            const _: &[u8] = ::core::include_bytes!({tracked:?});
            const _: () = ::core::assert!(::dunlin::Target::{:?}.runs_here(), {elsewhere:?});
            static DUNLIN_DATA: ::dunlin::AlignedBytes<{}> = ::dunlin::AlignedBytes::new(*{});",
        t.target,
        data.len(),
        byte_string(data)
    );
    // One kernel a node: operators that no node has are not linked.
    let kernels = t.nodes.iter().zip(parsed.kernel_names());
    let kernels: Vec<String> =
        kernels.map(|(node, name)| format!("::dunlin::ops::{}::{name}", node.op.name())).collect();
    list(&mut statics, "DUNLIN_KERNELS", "::dunlin::ops::Kernel", &kernels)?;
    list(&mut statics, "DUNLIN_NODES", "::dunlin::format::Node", &rows(t.nodes)?)?;
    list(&mut statics, "DUNLIN_TENSORS", "::dunlin::format::Tensor", &rows(t.tensors)?)?;
    list(&mut statics, "DUNLIN_IDS", "u16", &rows(t.ids)?)?;
    list(&mut statics, "DUNLIN_INPUTS", "u16", &rows(t.inputs)?)?;
    list(&mut statics, "DUNLIN_OUTPUTS", "u16", &rows(t.outputs)?)?;
    list(&mut statics, "DUNLIN_DIMS", "u32", &rows(t.dims)?)?;
    let metadata = byte_string(t.metadata);
    write!(statics, "static DUNLIN_METADATA: [u8; {}] = *{metadata};", t.metadata.len()).map_err(text)?;
    let expression = format!(
        "::dunlin::Model::from_proved(::dunlin::Tables {{
            nodes: &DUNLIN_NODES,
            tensors: &DUNLIN_TENSORS,
            ids: &DUNLIN_IDS,
            inputs: &DUNLIN_INPUTS,
            outputs: &DUNLIN_OUTPUTS,
            dims: &DUNLIN_DIMS,
            arena_len: {},
            state_len: {},
            data: DUNLIN_DATA.as_slice(),
            metadata: &DUNLIN_METADATA,
            target: ::dunlin::Target::{:?},
            dispatch: ::dunlin::ops::Dispatch::of(&DUNLIN_KERNELS),
        }})",
        t.arena_len, t.state_len, t.target
    );
    Ok(Parts { statics, interface: interface(&parsed)?, model: expression })
}

/// The public items of a module, but for the model.
fn interface(model: &Model<'_>) -> Result<String, String> {
    let t = model.tables();
    let labels: Vec<&str> = model.metadata().map_or(Vec::new(), |m| m.labels.lines().collect());
    let mut code = format!(
        "
            /// Bytes of arena that a session needs.
            pub const ARENA_BYTES: usize = {};
            /// Bytes of state memory (persistent tensors) that a session needs.
            pub const STATE_BYTES: usize = {};
            /// An arena that fits exactly.
            pub type Arena = ::dunlin::Arena<ARENA_BYTES>;
            /// State memory that fits exactly.
            pub type State = ::dunlin::Arena<STATE_BYTES>;
            /// Most rows of each bounded dimension; `Session::set_len` sets those of a run.
            pub const BOUNDS: [u32; {}] = {:?};
            /// Names of the classes; none where the file has none.
            pub const LABELS: [&str; {}] = {labels:?};",
        t.arena_len,
        t.state_len,
        t.dims.len(),
        t.dims,
        labels.len()
    );
    let tensors = |ids: &[u16]| ids.iter().map(|&id| t.tensors[usize::from(id)]).collect::<Vec<_>>();
    for (name, ids) in [("INPUTS", t.inputs), ("OUTPUTS", t.outputs)] {
        let rows = rows(&tensors(ids))?;
        let (count, rows) = (rows.len(), rows.join(", "));
        write!(
            code,
            "
            /// Type, shape and quantisation of each of the network's {}.
            pub const {name}: [::dunlin::format::Tensor; {count}] = [{rows}];",
            name.to_lowercase()
        )
        .map_err(text)?;
    }
    code.push_str(if t.state_len == 0 {
        "
            /// A session in `arena`, which fits by its type.
            pub fn session<'a>(arena: &'a mut Arena) -> ::dunlin::Session<'a, 'static> {
                ::dunlin::Session::fitted(&MODEL, arena.as_mut_slice(), &mut [])
            }"
    } else {
        "
            /// A session in `arena` with `state`, which fit by their types. New state is all zero bytes:
            /// `reset_state` before the first run sets it to the zero points.
            pub fn session<'a>(arena: &'a mut Arena, state: &'a mut State) -> ::dunlin::Session<'a, 'static> {
                ::dunlin::Session::fitted(&MODEL, arena.as_mut_slice(), state.as_mut_slice())
            }"
    });
    Ok(code)
}

fn text(error: std::fmt::Error) -> String {
    error.to_string()
}

fn byte_string(bytes: &[u8]) -> String {
    proc_macro2::Literal::byte_string(bytes).to_string()
}

fn rows<T: serde::Serialize>(rows: &[T]) -> Result<Vec<String>, String> {
    rows.iter().map(|row| expression(row).map_err(|error| error.to_string())).collect()
}

fn list(code: &mut String, name: &str, element: &str, rows: &[String]) -> Result<(), String> {
    write!(code, "static {name}: [{element}; {}] = [{}];", rows.len(), rows.join(", ")).map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> (PathBuf, Vec<u8>) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/v1/model.dun");
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    fn refusal(bytes: &[u8]) -> String {
        parts(&golden().0, bytes).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_good_file_becomes_an_expression_with_its_tables() {
        let code = expression_at(&syn::parse_str("\"../../tests/golden/v1/model.dun\"").unwrap()).unwrap();
        assert!(code.parse::<proc_macro2::TokenStream>().is_ok());
        assert!(code.contains("op: ::dunlin::ops::Op::Pad(::dunlin::ops::Pad {"));
        assert!(code.contains("pad: ::dunlin::shape::Pad {"));
    }

    #[test]
    fn a_module_has_sizes_shapes_and_the_session_of_its_model() {
        let text = "#[doc = \"golden\"] pub mod golden = concat!(env!(\"CARGO_MANIFEST_DIR\"), \
            \"/../../tests/golden/v1/model.dun\");";
        let code = module(&syn::parse_str(text).unwrap()).unwrap();
        assert!(code.parse::<proc_macro2::TokenStream>().is_ok());
        let (_, bytes) = golden();
        let arena = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
        for part in [
            &format!("pub const ARENA_BYTES: usize = {arena};"),
            "pub const INPUTS: [::dunlin::format::Tensor; 2] = [::dunlin::format::Tensor {dtype: ",
            "option_env!(\"CARGO_MANIFEST_DIR\")",
            "pub mod golden {",
        ] {
            assert!(code.contains(part), "{part} is missing from {code}");
        }
    }

    #[test]
    fn a_file_for_one_core_is_refused_by_name_where_the_build_has_no_kernels_for_it() {
        use dunlin_core::Target;
        use dunlin_core::format::{ProgramSpec, encode, pack};
        let (path, bytes) = golden();
        let file = AlignedVec::from_slice(&bytes);
        let mut storage = Box::new(Storage::<NODES, { 2 * NODES }, { 4 * NODES }>::new());
        let model = Model::parse(file.as_slice(), &mut storage).unwrap();
        let mut spec = ProgramSpec::from_model(&model);
        // Room for whatever the target's kernels like to have, behind everything else.
        for node in &mut spec.nodes {
            node.scratch.offset = spec.arena_len.next_multiple_of(16);
            node.scratch.len = 1 << 16;
        }
        spec.arena_len = spec.arena_len.next_multiple_of(16) + (1 << 16);
        let packed = encode(&pack(&spec, Target::CortexM55)).unwrap();
        let statics = parts(&path, packed.as_slice()).unwrap().statics;
        assert!(statics.contains("assert!(::dunlin::Target::CortexM55.runs_here(), "), "{statics}");
        assert!(statics.contains("model.dun: the constants are packed for cortex-m55, whose"), "{statics}");
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it_and_says_what_is_wrong() {
        let (_, mut bytes) = golden();
        bytes[200] ^= 1;
        let message = refusal(&bytes);
        assert!(message.contains("model.dun") && message.contains("the file is damaged"), "{message}");
        assert!(refusal(&bytes[..40]).contains("it was cut off"));
        bytes[6] = 200;
        assert!(refusal(&bytes).contains("200"), "{}", refusal(&bytes));
        let path = syn::parse_str("\"no/such/file.dun\"").unwrap();
        let message = expression_at(&path).unwrap_err();
        assert!(message.contains("no/such/file.dun"), "{message}");
    }
}
