//! The macro `dunlin::model!`: a model file proved and decoded when the program is compiled.
//!
//! The parser is the runtime's own, so a file that a device would refuse is a compile error with the same message.
//! Use it through the crate `dunlin`, whose types the expansion names.

mod argument;
mod expand;
mod tokens;

use argument::Input;
use proc_macro::TokenStream;

/// A model in the program, of type `dunlin::Model<'static>`.
///
/// The path is relative to the folder of the crate's `Cargo.toml`; it may be put together from literals by `concat!` and
/// `env!`, so a build script can make the file (`concat!(env!("OUT_DIR"), "/model.dun")`). The file is parsed while the
/// program is compiled; tables, metadata and constants become statics, so nothing is decoded at run time, no RAM is
/// spent on tables, only the kernels of its operators are linked, and a file that is damaged, invalid, of another version or packed
/// for a core that the build has no kernels for does not compile. The expression may stand where a static is initialised:
///
/// ```ignore
/// static DIGITS: dunlin::Model<'static> = dunlin::model!("models/digits/digits.dun");
/// ```
///
/// As an item it is a module that also has what is known of the model as constants and types: `MODEL`, `ARENA_BYTES`,
/// `STATE_BYTES`, `Arena`, `State`, `INPUTS`, `OUTPUTS`, `LABELS`, and `session`, which cannot fail:
///
/// ```ignore
/// dunlin::model! {
///     /// Handwritten digits.
///     pub mod digits = "models/digits/digits.dun";
/// }
/// static ARENA: StaticCell<digits::Arena> = StaticCell::new();
///
/// let mut session = digits::session(ARENA.init(digits::Arena::new()));
/// const PIXELS: usize = digits::INPUTS[0].shape.elements();
/// ```
#[proc_macro]
pub fn model(input: TokenStream) -> TokenStream {
    let input = match syn::parse::<Input>(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error().into(),
    };
    let expansions = match &input {
        Input::Expression(path) => vec![(path.span, expand::expression_at(path))],
        Input::Modules(modules) => modules.iter().map(|m| (m.path.span, expand::module(m))).collect(),
    };
    let mut tokens = TokenStream::new();
    for (span, expansion) in expansions {
        let expansion = expansion
            .and_then(|code| code.parse().map_err(|error| format!("the expansion is not Rust: {error}")));
        tokens.extend(match expansion {
            Ok(code) => code,
            Err(message) => TokenStream::from(syn::Error::new(span, message).to_compile_error()),
        });
    }
    tokens
}
