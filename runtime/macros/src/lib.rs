//! The macro `dunlin::model!`: a model file proved and decoded when the program is compiled.
//!
//! The parser is the runtime's own, so a file that a device would refuse is a compile error with the same message.
//! Use it through the crate `dunlin`, whose types the expansion names.

mod expand;
mod tokens;

use proc_macro::TokenStream;
use syn::LitStr;

/// A model in the program: `dunlin::model!("path/to/model.dun")`, of type `dunlin::Model<'static>`.
///
/// The path is relative to the folder of the crate's `Cargo.toml`. The file is parsed while the program is
/// compiled; tables, metadata and constants become statics, so nothing is decoded at run time, no RAM is spent on
/// tables, and a file that is damaged, invalid or of another version does not compile. The expression may stand
/// where a static is initialised:
///
/// ```ignore
/// static DIGITS: dunlin::Model<'static> = dunlin::model!("models/digits/digits.dun");
/// ```
#[proc_macro]
pub fn model(input: TokenStream) -> TokenStream {
    let path = match syn::parse::<LitStr>(input) {
        Ok(path) => path,
        Err(error) => return error.to_compile_error().into(),
    };
    let expansion = expand::from_path(&path.value())
        .and_then(|code| code.parse().map_err(|error| format!("the expansion is not Rust: {error}")));
    match expansion {
        Ok(tokens) => tokens,
        Err(message) => syn::Error::new(path.span(), message).to_compile_error().into(),
    }
}
