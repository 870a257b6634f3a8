//! What the macro is given: a path, or modules with a path each.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Token, parenthesized};

/// The input of one call.
pub(crate) enum Input {
    /// `"path.dun"`: an expression.
    Expression(Path),
    /// `pub mod name = "path.dun";`, any number of them.
    Modules(Vec<Module>),
}

/// One module to be made.
pub(crate) struct Module {
    /// Attributes and visibility, as they were written.
    pub(crate) before: TokenStream,
    pub(crate) name: Ident,
    pub(crate) path: Path,
}

/// A path as the compiler would see it: a literal, `env!("NAME")`, or `concat!` of such.
pub(crate) struct Path {
    pub(crate) text: String,
    /// Variables that were read: a change of one compiles this again.
    pub(crate) variables: Vec<String>,
    pub(crate) span: Span,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) || input.peek2(Token![!]) {
            return input.parse().map(Self::Expression);
        }
        let mut modules = Vec::new();
        while modules.is_empty() || !input.is_empty() {
            modules.push(input.parse()?);
        }
        Ok(Self::Modules(modules))
    }
}

impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut before = Vec::<TokenTree>::new();
        while !input.peek(Token![mod]) {
            if input.is_empty() {
                return Err(input.error("expected a path, or `pub mod name = \"path.dun\";`"));
            }
            before.push(input.parse()?);
        }
        input.parse::<Token![mod]>()?;
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        let path = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok(Self { before: before.into_iter().collect(), name, path })
    }
}

impl Parse for Path {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut path = Self { text: String::new(), variables: Vec::new(), span: input.span() };
        path.append(input)?;
        Ok(path)
    }
}

impl Path {
    fn append(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(LitStr) {
            self.text += &input.parse::<LitStr>()?.value();
            return Ok(());
        }
        let name: Ident = input.parse()?;
        input.parse::<Token![!]>()?;
        let arguments;
        parenthesized!(arguments in input);
        if name == "env" {
            let variable = arguments.parse::<LitStr>()?;
            let value = std::env::var(variable.value());
            let missing = |e| syn::Error::new(variable.span(), format!("{}: {e}", variable.value()));
            self.text += &value.map_err(missing)?;
            self.variables.push(variable.value());
        } else if name == "concat" {
            while !arguments.is_empty() {
                self.append(&arguments)?;
                if !arguments.is_empty() {
                    arguments.parse::<Token![,]>()?;
                }
            }
        } else {
            return Err(syn::Error::new(name.span(), "a path is a literal, `env!` or `concat!`"));
        }
        if arguments.is_empty() { Ok(()) } else { Err(arguments.error("expected nothing more")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> syn::Result<Path> {
        match syn::parse_str::<Input>(text)? {
            Input::Expression(path) => Ok(path),
            Input::Modules(_) => panic!("{text} became modules"),
        }
    }

    #[test]
    fn a_path_is_put_together_as_the_compiler_would() {
        let name = env!("CARGO_PKG_NAME");
        assert_eq!(path("\"a/b.dun\"").unwrap().text, "a/b.dun");
        let joined = path("concat!(env!(\"CARGO_PKG_NAME\"), \"/\", concat!(\"b\", \".dun\"),)").unwrap();
        assert_eq!(
            (joined.text, joined.variables),
            (format!("{name}/b.dun"), vec!["CARGO_PKG_NAME".to_owned()])
        );
    }

    #[test]
    fn other_arguments_are_errors_that_say_what_was_expected() {
        for (text, message) in [
            ("", "expected a path, or `pub mod"),
            ("model", "expected a path, or `pub mod"),
            ("env!(\"DUNLIN_NO_SUCH_VARIABLE\")", "DUNLIN_NO_SUCH_VARIABLE"),
            ("file!()", "a path is a literal"),
            ("env!(\"PATH\", \"a\")", "expected nothing more"),
            ("\"a\" \"b\"", "unexpected token"),
            ("pub mod digits", "expected `=`"),
            ("mod digits = \"a\"", "expected `;`"),
        ] {
            let error = syn::parse_str::<Input>(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn modules_keep_what_stands_before_them() {
        let text = "#[doc = \"one\"] pub(crate) mod one = \"1.dun\"; mod two = concat!(\"2\", \".dun\");";
        let Input::Modules(modules) = syn::parse_str(text).unwrap() else { panic!("an expression") };
        let found: Vec<_> = modules.iter().map(|m| (m.name.to_string(), m.path.text.as_str())).collect();
        assert_eq!(found, [("one".to_owned(), "1.dun"), ("two".to_owned(), "2.dun")]);
        assert_eq!(modules[0].before.clone().into_iter().count(), 4);
        assert!(modules[1].before.is_empty());
    }
}
